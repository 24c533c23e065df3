//! Correlations as torch has them:  out_(n,o,y,x) += sum_(c,i,j) x_(n,c, y s_h + i - p_h, x s_w + j - p_w) w_(o,c,i,j).

use crate::backend::kernels::{Left, Tile};
use crate::backend::{kernels, Backend};
use crate::error::{same_length, Error};
use crate::field;
use crate::matmul::{add_to, matmul, Matrix, DEPTH, MIN_WORK};
use crate::threads::{for_rows, map_ranges, try_rows};
use std::borrow::Cow;
use std::ops::Range;

/// The sizes of a correlation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Images.
    pub batch: usize,
    /// Channels in.
    pub channels: usize,
    /// Height and width in.
    pub size: (usize, usize),
    /// Channels out.
    pub filters: usize,
    /// Height and width of a filter.
    pub kernel: (usize, usize),
    /// Steps.
    pub stride: (usize, usize),
    /// Zeros around.
    pub padding: (usize, usize),
}

impl Conv {
    /// Height and width out; an error where the filter does not fit or a stride is zero.
    pub fn output(&self) -> Result<(usize, usize), Error> {
        let one = |size: usize, kernel: usize, stride: usize, padding: usize| {
            let padded = padding.checked_mul(2).and_then(|p| p.checked_add(size));
            match padded {
                Some(_) if padding > MAX_PADDING => {
                    Err(Error::Shape(format!("padding is {padding}, more than {MAX_PADDING}")))
                }
                Some(padded) if stride > 0 && kernel > 0 && padded >= kernel => Ok((padded - kernel) / stride + 1),
                _ => Err(Error::Shape(format!(
                    "a filter of {kernel} with stride {stride} does not fit into {size} with padding {padding}"
                ))),
            }
        };
        let rows = one(self.size.0, self.kernel.0, self.stride.0, self.padding.0)?;
        Ok((rows, one(self.size.1, self.kernel.1, self.stride.1, self.padding.1)?))
    }

    fn taps(&self) -> usize {
        self.channels * self.kernel.0 * self.kernel.1
    }

    fn check(&self, x: usize, w: usize, y: usize) -> Result<(usize, usize), Error> {
        let (h, v) = self.output()?;
        let count = |parts: &[usize]| parts.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).unwrap_or(usize::MAX);
        same_length("the input", count(&[self.batch, self.channels, self.size.0, self.size.1]), x)?;
        same_length("the filter", count(&[self.filters, self.channels, self.kernel.0, self.kernel.1]), w)?;
        same_length("the output", count(&[self.batch, self.filters, h, v]), y)?;
        Ok((h, v))
    }

    /// Elements of one image.
    fn image(&self) -> usize {
        self.channels * self.size.0 * self.size.1
    }

    /// Calls `visit(tap, position in the band, index into the image, run)` for each run of consecutive positions of the
    /// output rows `band` that read elements of the image, `stride` apart; positions that read padding are left out.
    fn runs(&self, band: Range<usize>, width: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let ((kh, kw), (sh, sw), (ph, pw)) = (self.kernel, self.stride, self.padding);
        for tap in 0..self.taps() {
            let (c, i, j) = (tap / (kh * kw), tap / kw % kh, tap % kw);
            // 0 <= x sw + j - pw < width of the image
            let begin = pw.saturating_sub(j).div_ceil(sw);
            let end = (self.size.1 + pw).saturating_sub(j).div_ceil(sw).min(width);
            if begin >= end {
                continue;
            }
            for y in band.clone() {
                let row = (y * sh + i).wrapping_sub(ph);
                if row < self.size.0 {
                    let from = (c * self.size.0 + row) * self.size.1 + begin * sw + j - pw;
                    visit(tap, (y - band.start) * width + begin, from, end - begin);
                }
            }
        }
    }

    /// columns (taps x positions) for output rows `band` of one image; what reads padding stays as it is, zero.
    fn columns(&self, cols: &mut [u64], image: &[u64], band: Range<usize>, width: usize) {
        let positions = band.len() * width;
        self.runs(band, width, |tap, to, from, run| {
            let to = &mut cols[tap * positions + to..][..run];
            match self.stride.1 {
                1 => to.copy_from_slice(&image[from..from + run]),
                step => to.iter_mut().zip(image[from..].iter().step_by(step)).for_each(|(o, &v)| *o = v),
            }
        });
    }

    /// The image with zeros around: (height, width) of a plane that every filter position fits into.
    fn padded(&self) -> (usize, usize) {
        (self.size.0 + 2 * self.padding.0, self.size.1 + 2 * self.padding.1)
    }

    /// How many output rows make columns that fit into a second-level cache.
    fn band(&self, width: usize) -> usize {
        (BAND / (self.taps() * width).max(1)).max(1)
    }
}

/// The most zeros on each side: memory is taken for them.
const MAX_PADDING: usize = 1024;
/// Elements of the columns of one band.
const BAND: usize = 1 << 16;

/// Ranges of `step` that partition `0..n`.
fn bands(n: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(step).map(move |at| at..n.min(at + step))
}

/// out += x correlated with w. Panels of columns are made in cache, `width` positions at a time.
pub fn conv2d(be: Backend, out: &mut [u64], x: &[u64], w: &[u64], s: Conv) -> Result<(), Error> {
    let (h, v) = s.check(x.len(), w.len(), out.len())?;
    if out.is_empty() || s.taps() == 0 {
        return Ok(());
    }
    let kernels = kernels(be);
    let ((ph, pw), (kh, kw), width, most) = (s.padded(), s.kernel, kernels.width(), kernels.rows());
    // Position q reads element base_q + offset_t of the padded image for tap t.
    let base: Vec<usize> = (0..h * v).map(|q| q / v * s.stride.0 * pw + q % v * s.stride.1).collect();
    let offset: Vec<usize> = (0..s.taps()).map(|t| (t / (kh * kw) * ph + t / kw % kh) * pw + t % kw).collect();
    let work = s.filters * s.taps() * h * v;
    for_rows(out, s.filters * h * v, MIN_WORK.div_ceil(work), |at, out| {
        let mut plane = vec![0; s.channels * ph * pw];
        let mut panel = vec![0; DEPTH.min(s.taps()) * width];
        for (n, out) in out.chunks_exact_mut(s.filters * h * v).enumerate() {
            let rows = x[(at + n) * s.image()..][..s.image()].chunks_exact(s.size.1.max(1));
            for (i, row) in rows.enumerate() {
                let y = i / s.size.0 * ph + i % s.size.0 + s.padding.0;
                plane[y * pw + s.padding.1..][..s.size.1].copy_from_slice(row);
            }
            for (p, base) in base.chunks(width).enumerate() {
                for t0 in (0..s.taps()).step_by(DEPTH) {
                    let offset = &offset[t0..s.taps().min(t0 + DEPTH)];
                    for (lanes, &offset) in panel.chunks_exact_mut(width).zip(offset) {
                        let plane = &plane[offset..];
                        lanes.iter_mut().zip(base).for_each(|(lane, &base)| *lane = plane[base]);
                    }
                    for (i, rows) in out.chunks_mut(most * h * v).enumerate() {
                        let left = Left { data: &w[i * most * s.taps() + t0..], row_step: s.taps(), col_step: 1 };
                        let count = rows.len() / (h * v);
                        let tile = Tile { rows: count, cols: base.len(), step: h * v, data: &mut rows[p * width..] };
                        kernels.panel(tile, left, &panel, offset.len());
                    }
                }
            }
        }
    });
    Ok(())
}

/// out += the gradient by x: out_(n,c,...) = sum over all (o, y, x) that read it of g_(n,o,y,x) w_(o,c,i,j).
pub fn conv2d_input(be: Backend, out: &mut [u64], g: &[u64], w: &[u64], s: Conv) -> Result<(), Error> {
    let (h, v) = s.check(out.len(), w.len(), g.len())?;
    if out.is_empty() || g.is_empty() {
        return Ok(());
    }
    let left = Matrix::new(w, s.filters, s.taps(), true)?;
    let work = s.filters * s.taps() * h * v;
    try_rows(out, s.image(), MIN_WORK.div_ceil(work), |at, out| {
        let mut cols = vec![0; s.taps() * s.band(v).min(h) * v];
        for (n, out) in out.chunks_exact_mut(s.image()).enumerate() {
            let g = &g[(at + n) * s.filters * h * v..][..s.filters * h * v];
            for band in bands(h, s.band(v)) {
                let positions = band.len() * v;
                let cols = &mut cols[..s.taps() * positions];
                cols.fill(0);
                let part = rows_of(g, h * v, band.start * v..band.end * v);
                matmul(be, cols, left, Matrix::new(&part, s.filters, positions, false)?)?;
                s.runs(band, v, |tap, from, to, run| {
                    let from = &cols[tap * positions + from..][..run];
                    let to = out[to..].iter_mut().step_by(s.stride.1);
                    to.zip(from).for_each(|(o, &v)| *o = field::add(*o, v));
                });
            }
        }
        Ok(())
    })
}

/// out += the gradient by w: out_(o,c,i,j) = sum_(n,y,x) g_(n,o,y,x) x_(n,c, y s_h + i - p_h, x s_w + j - p_w).
pub fn conv2d_weight(be: Backend, out: &mut [u64], g: &[u64], x: &[u64], s: Conv) -> Result<(), Error> {
    let (h, v) = s.check(x.len(), out.len(), g.len())?;
    if out.is_empty() || g.is_empty() {
        return Ok(());
    }
    let work = s.filters * s.taps() * h * v;
    let parts = map_ranges(s.batch, MIN_WORK.div_ceil(work), |range| {
        let mut part = vec![0; s.filters * s.taps()];
        let mut cols = vec![0; s.taps() * s.band(v).min(h) * v];
        for n in range {
            let g = &g[n * s.filters * h * v..][..s.filters * h * v];
            for band in bands(h, s.band(v)) {
                let positions = band.len() * v;
                let cols = &mut cols[..s.taps() * positions];
                cols.fill(0);
                s.columns(cols, &x[n * s.image()..][..s.image()], band.clone(), v);
                let left = rows_of(g, h * v, band.start * v..band.end * v);
                let left = Matrix::new(&left, s.filters, positions, false)?;
                matmul(be, &mut part, left, Matrix::new(cols, s.taps(), positions, true)?)?;
            }
        }
        Ok(part)
    });
    for part in parts {
        add_to(out, &part?);
    }
    Ok(())
}

/// Columns `range` of a matrix with rows of `row`, copied only if they are not all.
fn rows_of(a: &[u64], row: usize, range: Range<usize>) -> Cow<'_, [u64]> {
    if range.len() == row {
        return a.into();
    }
    a.chunks_exact(row).flat_map(|r| &r[range.clone()]).copied().collect::<Vec<_>>().into()
}
