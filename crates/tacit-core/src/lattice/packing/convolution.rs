//! Correlations:  image(X) = sum x_cij X^(c h w + i w + j),  filter(X) = sum f_cij X^(o - c h w - i w - j):  the coefficient
//! o + y w + x of the product is sum_cij x_c(y+i)(x+j) f_cij.
//!
//! Filters m follow each other m C h w below o, images n lie M C h w apart; right for N_b M C h w <= N, since whatever
//! else a product holds, wrapped around or not, lies outside the outputs. Strides pick outputs. The gradients are
//! correlations too, of other planes: by the input, of g with zeros between against turned filters; by the weights, of x
//! against g as a filter with zeros between.

use super::{fits, sizes, Packing, Places, Price, Side};
use crate::conv::Conv;
use crate::error::Error;
use crate::lattice::parameters::Parameters;

/// Which element stands at (outer, inner, row, column), or zero.
type Index<'a> = Box<dyn Fn(usize, usize, usize, usize) -> Option<usize> + 'a>;

/// A correlation of `batch` images with `filters`, all `channels` deep, by indices into the operands.
struct Planes<'a> {
    batch: usize,
    channels: usize,
    filters: usize,
    size: (usize, usize),
    kernel: (usize, usize),
    stride: (usize, usize),
    image: Index<'a>,
    filter: Index<'a>,
    output: Index<'a>,
    lengths: [usize; 3],
}

/// Images, channels and filters of one polynomial, and output rows of one tile.
type Blocks = [usize; 4];

/// `at - before` if it is a multiple of `step` and the quotient below `end`.
fn grid(at: usize, before: usize, step: usize, end: usize) -> Option<usize> {
    at.checked_sub(before).filter(|d| d.is_multiple_of(step)).map(|d| d / step).filter(|&i| i < end)
}

impl Packing {
    /// out_(n,o,y,x): left the images, right the filters.
    pub fn conv2d(parameters: &Parameters, s: Conv, encrypted: Side, most: usize) -> Result<Packing, Error> {
        let ((h, v), (kh, kw)) = (s.output()?, s.kernel);
        let lengths = lengths(s, |x, w, y| [x, w, y])?;
        let planes = Planes {
            batch: s.batch,
            channels: s.channels,
            filters: s.filters,
            size: (s.size.0 + 2 * s.padding.0, s.size.1 + 2 * s.padding.1),
            kernel: s.kernel,
            stride: s.stride,
            image: Box::new(move |n, c, y, x| {
                let (y, x) = (grid(y, s.padding.0, 1, s.size.0)?, grid(x, s.padding.1, 1, s.size.1)?);
                Some(((n * s.channels + c) * s.size.0 + y) * s.size.1 + x)
            }),
            filter: Box::new(move |o, c, i, j| Some(((o * s.channels + c) * kh + i) * kw + j)),
            output: Box::new(move |n, o, y, x| Some(((n * s.filters + o) * h + y) * v + x)),
            lengths,
        };
        planes.pack(parameters, encrypted, most)
    }

    /// The gradient by the input: left g, right the filters.
    pub fn conv2d_input(parameters: &Parameters, s: Conv, encrypted: Side, most: usize) -> Result<Packing, Error> {
        let ((h, v), (kh, kw)) = (s.output()?, s.kernel);
        let lengths = lengths(s, |x, w, y| [y, w, x])?;
        let planes = Planes {
            batch: s.batch,
            channels: s.filters,
            filters: s.channels,
            size: (s.size.0 + 2 * s.padding.0 + kh - 1, s.size.1 + 2 * s.padding.1 + kw - 1),
            kernel: s.kernel,
            stride: (1, 1),
            image: Box::new(move |n, o, y, x| {
                let (y, x) = (grid(y, kh - 1, s.stride.0, h)?, grid(x, kw - 1, s.stride.1, v)?);
                Some(((n * s.filters + o) * h + y) * v + x)
            }),
            filter: Box::new(move |c, o, i, j| Some(((o * s.channels + c) * kh + kh - 1 - i) * kw + kw - 1 - j)),
            output: Box::new(move |n, c, y, x| {
                let (y, x) = (grid(y, s.padding.0, 1, s.size.0)?, grid(x, s.padding.1, 1, s.size.1)?);
                Some(((n * s.channels + c) * s.size.0 + y) * s.size.1 + x)
            }),
            lengths,
        };
        planes.pack(parameters, encrypted, most)
    }

    /// The gradient by the weights: left the images, right g.
    pub fn conv2d_weight(parameters: &Parameters, s: Conv, encrypted: Side, most: usize) -> Result<Packing, Error> {
        let ((h, v), (kh, kw)) = (s.output()?, s.kernel);
        let lengths = lengths(s, |x, w, y| [x, y, w])?;
        let planes = Planes {
            batch: s.channels,
            channels: s.batch,
            filters: s.filters,
            size: (s.size.0 + 2 * s.padding.0, s.size.1 + 2 * s.padding.1),
            kernel: ((h - 1) * s.stride.0 + 1, (v - 1) * s.stride.1 + 1),
            stride: (1, 1),
            image: Box::new(move |c, n, y, x| {
                let (y, x) = (grid(y, s.padding.0, 1, s.size.0)?, grid(x, s.padding.1, 1, s.size.1)?);
                Some(((n * s.channels + c) * s.size.0 + y) * s.size.1 + x)
            }),
            filter: Box::new(move |o, n, i, j| {
                let (y, x) = (grid(i, 0, s.stride.0, h)?, grid(j, 0, s.stride.1, v)?);
                Some(((n * s.filters + o) * h + y) * v + x)
            }),
            output: Box::new(move |c, o, i, j| (i < kh && j < kw).then_some(((o * s.channels + c) * kh + i) * kw + j)),
            lengths,
        };
        planes.pack(parameters, encrypted, most)
    }
}

/// Elements of x, w and y, in the order that a form has them.
fn lengths(s: Conv, order: impl Fn(usize, usize, usize) -> [usize; 3]) -> Result<[usize; 3], Error> {
    let (h, v) = s.output()?;
    let count = |parts: [usize; 4]| parts.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).unwrap_or(usize::MAX);
    let lengths = order(
        count([s.batch, s.channels, s.size.0, s.size.1]),
        count([s.filters, s.channels, s.kernel.0, s.kernel.1]),
        count([s.batch, s.filters, h, v]),
    );
    fits(lengths)?;
    Ok(lengths)
}

impl Planes<'_> {
    /// Output rows and columns before any is left out.
    fn outputs(&self) -> (usize, usize) {
        let one = |size: usize, kernel: usize, stride: usize| (size - kernel) / stride + 1;
        (one(self.size.0, self.kernel.0, self.stride.0), one(self.size.1, self.kernel.1, self.stride.1))
    }

    /// Input rows of a tile of `rows` output rows.
    fn height(&self, rows: usize) -> usize {
        (rows - 1) * self.stride.0 + self.kernel.0
    }

    /// (rows, depth, cols) of the blocks.
    fn grid(&self, [images, channels, filters, rows]: Blocks) -> (usize, usize, usize) {
        let tiles = self.outputs().0.div_ceil(rows);
        (self.batch.div_ceil(images) * tiles, self.channels.div_ceil(channels), self.filters.div_ceil(filters))
    }

    /// The cheapest blocks.
    fn choose(&self, degree: usize, price: &Price) -> Result<Blocks, Error> {
        let mut best: Option<(usize, Blocks)> = None;
        for rows in sizes(self.outputs().0) {
            let plane = self.height(rows).saturating_mul(self.size.1);
            for channels in sizes(self.channels).into_iter().filter(|c| c.saturating_mul(plane) <= degree) {
                let room = degree / (channels * plane);
                for images in sizes(self.batch).into_iter().filter(|&n| n <= room) {
                    let blocks = [images, channels, self.filters.min(room / images), rows];
                    let (i, k, j) = self.grid(blocks);
                    best = price.of(i, k, j).map(|cost| (cost, blocks)).into_iter().chain(best).min();
                }
            }
        }
        let (_, blocks) =
            best.ok_or_else(|| Error::Shape(format!("a correlation of {:?} has no packing", self.size)))?;
        Ok(blocks)
    }

    fn pack(&self, parameters: &Parameters, encrypted: Side, most: usize) -> Result<Packing, Error> {
        let blocks = self.choose(parameters.degree(), &Price::new(parameters, encrypted, most))?;
        let [images, channels, filters, rows] = blocks;
        let ((kh, kw), width, (height_out, width_out)) = (self.kernel, self.size.1, self.outputs());
        let plane = self.height(rows) * width;
        let (count, depth, cols) = self.grid(blocks);
        let tiles = height_out.div_ceil(rows);
        let origin = plane * (filters * channels - 1) + width * (kh - 1) + kw - 1;
        let place = |to: usize, from: usize| (to as u32, from as u32);
        let part = |block: usize, size: usize, total: usize| (block * size..total.min((block + 1) * size)).enumerate();

        let mut left = vec![Places::new(); count * depth];
        for (at, places) in left.iter_mut().enumerate() {
            let top = at / depth % tiles * rows * self.stride.0;
            for (n, image) in part(at / depth / tiles, images, self.batch) {
                for (c, channel) in part(at % depth, channels, self.channels) {
                    let base = (n * filters * channels + c) * plane;
                    for (at, y, x) in cells(plane / width, width) {
                        let from = (self.image)(image, channel, top + y, x).filter(|_| top + y < self.size.0);
                        places.extend(from.map(|from| place(base + at, from)));
                    }
                }
            }
        }
        let mut right = vec![Places::new(); depth * cols];
        for (at, places) in right.iter_mut().enumerate() {
            for (m, filter) in part(at % cols, filters, self.filters) {
                for (c, channel) in part(at / cols, channels, self.channels) {
                    let base = origin - (m * channels + c) * plane;
                    for (_, i, j) in cells(kh, kw) {
                        let from = (self.filter)(filter, channel, i, j);
                        places.extend(from.map(|from| place(base - i * width - j, from)));
                    }
                }
            }
        }
        let mut outputs = vec![Places::new(); count * cols];
        for (at, places) in outputs.iter_mut().enumerate() {
            let first = at / cols % tiles * rows;
            for (n, image) in part(at / cols / tiles, images, self.batch) {
                for (m, filter) in part(at % cols, filters, self.filters) {
                    let base = n * filters * channels * plane + origin - m * channels * plane;
                    for (_, y, x) in cells(rows.min(height_out - first), width_out) {
                        let to = (self.output)(image, filter, first + y, x);
                        let from = base + y * self.stride.0 * width + x * self.stride.1;
                        places.extend(to.map(|to| place(from, to)));
                    }
                }
            }
        }
        Ok(Packing { rows: count, depth, cols, left, right, outputs, lengths: self.lengths })
    }
}

/// (index, row, column) of a plane.
fn cells(rows: usize, cols: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..rows * cols).map(move |at| (at, at / cols, at % cols))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use crate::conv;
    use crate::lattice::parameters::tests::SMALL;
    use crate::Backend;

    fn shapes() -> Vec<Conv> {
        let one =
            Conv { batch: 1, channels: 1, size: (5, 6), filters: 1, kernel: (3, 2), stride: (1, 1), padding: (0, 0) };
        vec![
            one,
            Conv { batch: 3, channels: 2, filters: 4, kernel: (3, 3), padding: (1, 1), ..one },
            Conv { batch: 2, channels: 3, filters: 2, size: (9, 8), kernel: (3, 4), stride: (2, 3), padding: (1, 2) },
            Conv { batch: 5, channels: 4, filters: 30, size: (14, 14), kernel: (3, 3), padding: (1, 1), ..one },
            // Larger than a polynomial: tiles of rows, with what they share.
            Conv { size: (150, 120), kernel: (5, 5), stride: (2, 2), padding: (2, 2), ..one },
        ]
    }

    #[test]
    fn forms_equal_those_of_the_kernel() {
        let be = Backend::best();
        for s in shapes() {
            let (h, v) = s.output().unwrap();
            check(
                |parameters, side| Packing::conv2d(parameters, s, side, 16).unwrap(),
                |x, w| {
                    let mut out = vec![0; s.batch * s.filters * h * v];
                    conv::conv2d(be, &mut out, x, w, s).unwrap();
                    out
                },
            );
            check(
                |parameters, side| Packing::conv2d_input(parameters, s, side, 16).unwrap(),
                |g, w| {
                    let mut out = vec![0; s.batch * s.channels * s.size.0 * s.size.1];
                    conv::conv2d_input(be, &mut out, g, w, s).unwrap();
                    out
                },
            );
        }
    }

    #[test]
    fn gradients_by_weights_equal_those_of_the_kernel() {
        // A filter as large as the image has to fit into one polynomial.
        for s in &shapes()[..4] {
            check(
                |parameters, side| Packing::conv2d_weight(parameters, *s, side, 16).unwrap(),
                |x, g| {
                    let mut out = vec![0; s.filters * s.channels * s.kernel.0 * s.kernel.1];
                    conv::conv2d_weight(Backend::best(), &mut out, g, x, *s).unwrap();
                    out
                },
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let parameters = Parameters::new(SMALL).unwrap();
        let wide = Conv { size: (3, 1 << 14), kernel: (3, 3), ..shapes()[0] };
        assert!(Packing::conv2d(&parameters, wide, Side::Left, 4).is_err());
        assert!(Packing::conv2d_weight(&parameters, shapes()[4], Side::Left, 4).is_err());
        assert!(Packing::conv2d(&parameters, Conv { batch: 0, ..shapes()[0] }, Side::Left, 4).is_err());
        assert!(Packing::conv2d(&parameters, Conv { batch: usize::MAX, ..shapes()[1] }, Side::Left, 4).is_err());
    }
}
