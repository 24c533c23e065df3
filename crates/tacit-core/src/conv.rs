//! Correlations as torch has them:  out_(n,o,y,x) += sum_(c,i,j) x_(n,c, y s_h + i - p_h, x s_w + j - p_w) w_(o,c,i,j).

use crate::backend::Backend;
use crate::error::{same_length, BadShape};
use crate::field;
use crate::matmul::{matmul, Matrix};
use crate::threads::{for_rows, map_ranges};

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
    pub fn output(&self) -> Result<(usize, usize), BadShape> {
        let one = |size: usize, kernel: usize, stride: usize, padding: usize| {
            let padded = padding.checked_mul(2).and_then(|p| p.checked_add(size));
            match padded {
                Some(padded) if stride > 0 && kernel > 0 && padded >= kernel => Ok((padded - kernel) / stride + 1),
                _ => Err(BadShape(format!(
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

    fn check(&self, x: usize, w: usize, y: usize) -> Result<(usize, usize), BadShape> {
        let (h, v) = self.output()?;
        let count = |parts: &[usize]| parts.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).unwrap_or(usize::MAX);
        same_length("the input", count(&[self.batch, self.channels, self.size.0, self.size.1]), x)?;
        same_length("the filter", count(&[self.filters, self.channels, self.kernel.0, self.kernel.1]), w)?;
        same_length("the output", count(&[self.batch, self.filters, h, v]), y)?;
        Ok((h, v))
    }

    /// For each (tap, position): the index into one image, or none in the padding.
    fn source(&self, tap: usize, y: usize, x: usize) -> Option<usize> {
        let (kh, kw) = self.kernel;
        let (c, i, j) = (tap / (kh * kw), tap / kw % kh, tap % kw);
        let row = (y * self.stride.0 + i).checked_sub(self.padding.0).filter(|&r| r < self.size.0)?;
        let col = (x * self.stride.1 + j).checked_sub(self.padding.1).filter(|&r| r < self.size.1)?;
        Some((c * self.size.0 + row) * self.size.1 + col)
    }

    /// columns (taps x positions) of one image.
    fn columns(&self, cols: &mut [u64], image: &[u64], (h, v): (usize, usize)) {
        for tap in 0..self.taps() {
            for y in 0..h {
                for x in 0..v {
                    cols[(tap * h + y) * v + x] = self.source(tap, y, x).map_or(0, |at| image[at]);
                }
            }
        }
    }
}

/// out += x correlated with w.
pub fn conv2d(be: Backend, out: &mut [u64], x: &[u64], w: &[u64], s: Conv) -> Result<(), BadShape> {
    let (h, v) = s.check(x.len(), w.len(), out.len())?;
    let (taps, image) = (s.taps(), s.channels * s.size.0 * s.size.1);
    for_rows(out, s.filters * h * v, 1, |at, out| {
        let mut cols = vec![0; taps * h * v];
        for (n, out) in out.chunks_exact_mut(s.filters * h * v).enumerate() {
            s.columns(&mut cols, &x[(at + n) * image..][..image], (h, v));
            let (a, b) = (plain(w, s.filters, taps, false), plain(&cols, taps, h * v, false));
            matmul(be, out, a, b).expect("sizes were checked");
        }
    });
    Ok(())
}

/// out += the gradient by x: out_(n,c,...) = sum over all (o, y, x) that read it of g_(n,o,y,x) w_(o,c,i,j).
pub fn conv2d_input(be: Backend, out: &mut [u64], g: &[u64], w: &[u64], s: Conv) -> Result<(), BadShape> {
    let (h, v) = s.check(out.len(), w.len(), g.len())?;
    let (taps, image) = (s.taps(), s.channels * s.size.0 * s.size.1);
    for_rows(out, image, 1, |at, out| {
        for (n, out) in out.chunks_exact_mut(image).enumerate() {
            let mut cols = vec![0; taps * h * v];
            let g = &g[(at + n) * s.filters * h * v..][..s.filters * h * v];
            let (a, b) = (plain(w, s.filters, taps, true), plain(g, s.filters, h * v, false));
            matmul(be, &mut cols, a, b).expect("sizes were checked");
            for tap in 0..taps {
                for y in 0..h {
                    for x in 0..v {
                        if let Some(to) = s.source(tap, y, x) {
                            out[to] = field::add(out[to], cols[(tap * h + y) * v + x]);
                        }
                    }
                }
            }
        }
    });
    Ok(())
}

/// out += the gradient by w: out_(o,c,i,j) = sum_(n,y,x) g_(n,o,y,x) x_(n,c, y s_h + i - p_h, x s_w + j - p_w).
pub fn conv2d_weight(be: Backend, out: &mut [u64], g: &[u64], x: &[u64], s: Conv) -> Result<(), BadShape> {
    let (h, v) = s.check(x.len(), out.len(), g.len())?;
    let (taps, image) = (s.taps(), s.channels * s.size.0 * s.size.1);
    let parts = map_ranges(s.batch, 1, |range| {
        let mut part = vec![0; s.filters * taps];
        let mut cols = vec![0; taps * h * v];
        for n in range {
            s.columns(&mut cols, &x[n * image..][..image], (h, v));
            let g = &g[n * s.filters * h * v..][..s.filters * h * v];
            let (a, b) = (plain(g, s.filters, h * v, false), plain(&cols, taps, h * v, true));
            matmul(be, &mut part, a, b).expect("sizes were checked");
        }
        part
    });
    for part in parts {
        out.iter_mut().zip(part).for_each(|(o, v)| *o = field::add(*o, v));
    }
    Ok(())
}

fn plain(data: &[u64], rows: usize, cols: usize, transposed: bool) -> Matrix<'_> {
    Matrix::new(data, rows, cols, transposed).expect("sizes were checked")
}
