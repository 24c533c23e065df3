//! The module `tacit._core`: bindings that check shapes, release the GIL, and delegate to tacit-core.

mod arrays;
mod lattice;

use arrays::{cast, fill, fill_all, refused, value, writable, Array, In, PeerError};
use numpy::PyArrayMethods;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tacit_core::conv::{self, Conv};
use tacit_core::divide::Divisor;
use tacit_core::fixed::{self, EncodeError, Truncation};
use tacit_core::matmul::Matrix;
use tacit_core::vector::MaskedProduct;
use tacit_core::{binary, code, joint, matmul as product, vector, Backend, Error, P};
use zeroize::{Zeroize, Zeroizing};

type Out<'py> = PyResult<Array<'py, u64>>;
type Words<'py> = In<'py, u64>;

fn choose(name: Option<&str>) -> PyResult<Backend> {
    name.map_or(Ok(Backend::best()), Backend::named).map_err(refused)
}

fn element(name: &str, k: u64) -> PyResult<u64> {
    if k < P {
        return Ok(k);
    }
    Err(value(format!("{name} is {k}, not an element of [0, p)")))
}

/// `out` starts as `add`, or as zeros.
fn start(out: &mut [u64], add: Option<&[u64]>) {
    if let Some(add) = add {
        out.copy_from_slice(add);
    }
}

#[pyfunction]
fn backends() -> Vec<&'static str> {
    Backend::available().iter().map(|b| b.name()).collect()
}

#[pyfunction]
fn backend() -> &'static str {
    Backend::best().name()
}

#[pyfunction]
fn threads() -> usize {
    tacit_core::threads::threads()
}

#[pyfunction]
#[pyo3(signature = (a, b, backend=None))]
fn add<'py>(py: Python<'py>, a: Words<'py>, b: Words<'py>, backend: Option<&str>) -> Out<'py> {
    let (be, (x, y)) = (choose(backend)?, (a.slice(), b.slice()));
    b.expect("b", a.shape())?;
    fill(py, a.shape(), |out| vector::add(be, out, x, y))
}

#[pyfunction]
#[pyo3(signature = (a, b, backend=None))]
fn accumulate(py: Python<'_>, a: &Bound<'_, PyAny>, b: Words<'_>, backend: Option<&str>) -> PyResult<()> {
    let (be, array, values) = (choose(backend)?, cast::<u64>(a)?, b.slice());
    let mut guard = array.try_readwrite().map_err(|e| value(format!("the array cannot be written to: {e}")))?;
    let out = writable(&mut guard)?;
    py.detach(|| vector::accumulate(be, out, values)).map_err(refused)
}

#[pyfunction]
#[pyo3(signature = (a, b, backend=None))]
fn sub<'py>(py: Python<'py>, a: Words<'py>, b: Words<'py>, backend: Option<&str>) -> Out<'py> {
    let (be, (x, y)) = (choose(backend)?, (a.slice(), b.slice()));
    b.expect("b", a.shape())?;
    fill(py, a.shape(), |out| vector::sub(be, out, x, y))
}

#[pyfunction]
#[pyo3(signature = (a, b, backend=None))]
fn mul<'py>(py: Python<'py>, a: Words<'py>, b: Words<'py>, backend: Option<&str>) -> Out<'py> {
    let (be, (x, y)) = (choose(backend)?, (a.slice(), b.slice()));
    b.expect("b", a.shape())?;
    fill(py, a.shape(), |out| vector::mul(be, out, x, y))
}

#[pyfunction]
#[pyo3(signature = (a, backend=None))]
fn neg<'py>(py: Python<'py>, a: Words<'py>, backend: Option<&str>) -> Out<'py> {
    let (be, x) = (choose(backend)?, a.slice());
    fill(py, a.shape(), |out| vector::neg(be, out, x))
}

#[pyfunction]
#[pyo3(signature = (a, k, backend=None))]
fn scale<'py>(py: Python<'py>, a: Words<'py>, k: u64, backend: Option<&str>) -> Out<'py> {
    let (be, x, k) = (choose(backend)?, a.slice(), element("k", k)?);
    fill(py, a.shape(), |out| vector::scale(be, out, x, k))
}

#[pyfunction]
#[pyo3(signature = (a, k, backend=None))]
fn add_scalar<'py>(py: Python<'py>, a: Words<'py>, k: u64, backend: Option<&str>) -> Out<'py> {
    let (be, x, k) = (choose(backend)?, a.slice(), element("k", k)?);
    fill(py, a.shape(), |out| vector::add_scalar(be, out, x, k))
}

#[pyfunction]
#[pyo3(signature = (weights, arrays, backend=None))]
fn weighted<'py>(py: Python<'py>, weights: Vec<u64>, arrays: Vec<Words<'py>>, backend: Option<&str>) -> Out<'py> {
    let be = choose(backend)?;
    let c = weights.into_iter().map(|k| element("a weight", k)).collect::<PyResult<Vec<_>>>()?;
    let first = arrays.first().ok_or_else(|| value("there are no arrays"))?;
    arrays.iter().try_for_each(|a| a.expect("an array", first.shape()))?;
    let slices = arrays.iter().map(In::slice).collect::<Vec<_>>();
    fill(py, first.shape(), |out| vector::weighted(be, out, &c, &slices))
}

#[pyfunction]
#[pyo3(signature = (d, y, x, e, k, c=None, backend=None))]
#[allow(clippy::too_many_arguments)]
fn multiply_open<'py>(
    py: Python<'py>,
    d: Words<'py>,
    y: Words<'py>,
    x: Words<'py>,
    e: Words<'py>,
    k: u64,
    c: Option<Words<'py>>,
    backend: Option<&str>,
) -> Out<'py> {
    let (be, k) = (choose(backend)?, element("k", k)?);
    for (name, v) in [("y", Some(&y)), ("x", Some(&x)), ("e", Some(&e)), ("c", c.as_ref())] {
        v.map_or(Ok(()), |v| v.expect(name, d.shape()))?;
    }
    let c = c.as_ref().map(In::slice);
    let v = MaskedProduct { d: d.slice(), y: y.slice(), x: x.slice(), e: e.slice(), k, c };
    fill(py, d.shape(), |out| vector::multiply_open(be, out, v))
}

fn matrix<'a>(name: &str, a: &'a Words<'_>, transposed: bool) -> PyResult<Matrix<'a>> {
    let [rows, cols] = a.dims(name)?;
    Matrix::new(a.slice(), rows, cols, transposed).map_err(refused)
}

#[pyfunction]
#[pyo3(signature = (a, b, transpose_a=false, transpose_b=false, add=None, backend=None))]
fn matmul<'py>(
    py: Python<'py>,
    a: Words<'py>,
    b: Words<'py>,
    transpose_a: bool,
    transpose_b: bool,
    add: Option<Words<'py>>,
    backend: Option<&str>,
) -> Out<'py> {
    let be = choose(backend)?;
    let (a, b) = (matrix("a", &a, transpose_a)?, matrix("b", &b, transpose_b)?);
    let shape = [a.rows, b.cols];
    add.as_ref().map_or(Ok(()), |v| v.expect("add", &shape))?;
    let add = add.as_ref().map(In::slice);
    fill(py, &shape, |out| {
        start(out, add);
        product::matmul(be, out, a, b)
    })
}

type Pair = (usize, usize);

#[pyfunction]
#[pyo3(signature = (x, w, stride=(1, 1), padding=(0, 0), add=None, backend=None))]
fn conv2d<'py>(
    py: Python<'py>,
    x: Words<'py>,
    w: Words<'py>,
    stride: Pair,
    padding: Pair,
    add: Option<Words<'py>>,
    backend: Option<&str>,
) -> Out<'py> {
    let be = choose(backend)?;
    let ([batch, channels, h, v], [filters, _, kh, kw]) = (x.dims("x")?, w.dims("w")?);
    w.expect("w", &[filters, channels, kh, kw])?;
    let s = Conv { batch, channels, size: (h, v), filters, kernel: (kh, kw), stride, padding };
    let (h, v) = s.output().map_err(refused)?;
    let shape = [batch, filters, h, v];
    add.as_ref().map_or(Ok(()), |a| a.expect("add", &shape))?;
    let (x, w, add) = (x.slice(), w.slice(), add.as_ref().map(In::slice));
    fill(py, &shape, |out| {
        start(out, add);
        conv::conv2d(be, out, x, w, s)
    })
}

#[pyfunction]
#[pyo3(signature = (g, w, input_shape, stride=(1, 1), padding=(0, 0), add=None, backend=None))]
#[allow(clippy::too_many_arguments)]
fn conv2d_input<'py>(
    py: Python<'py>,
    g: Words<'py>,
    w: Words<'py>,
    input_shape: (usize, usize, usize, usize),
    stride: Pair,
    padding: Pair,
    add: Option<Words<'py>>,
    backend: Option<&str>,
) -> Out<'py> {
    let be = choose(backend)?;
    let (batch, channels, h, v) = input_shape;
    let [filters, _, kh, kw] = w.dims("w")?;
    w.expect("w", &[filters, channels, kh, kw])?;
    let s = Conv { batch, channels, size: (h, v), filters, kernel: (kh, kw), stride, padding };
    let (gh, gw) = s.output().map_err(refused)?;
    g.expect("g", &[batch, filters, gh, gw])?;
    let shape = [batch, channels, h, v];
    add.as_ref().map_or(Ok(()), |a| a.expect("add", &shape))?;
    let (g, w, add) = (g.slice(), w.slice(), add.as_ref().map(In::slice));
    fill(py, &shape, |out| {
        start(out, add);
        conv::conv2d_input(be, out, g, w, s)
    })
}

#[pyfunction]
#[pyo3(signature = (g, x, kernel, stride=(1, 1), padding=(0, 0), add=None, backend=None))]
#[allow(clippy::too_many_arguments)]
fn conv2d_weight<'py>(
    py: Python<'py>,
    g: Words<'py>,
    x: Words<'py>,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    add: Option<Words<'py>>,
    backend: Option<&str>,
) -> Out<'py> {
    let be = choose(backend)?;
    let ([_, filters, _, _], [batch, channels, h, v]) = (g.dims("g")?, x.dims("x")?);
    let s = Conv { batch, channels, size: (h, v), filters, kernel, stride, padding };
    let (gh, gw) = s.output().map_err(refused)?;
    g.expect("g", &[batch, filters, gh, gw])?;
    let shape = [filters, channels, kernel.0, kernel.1];
    add.as_ref().map_or(Ok(()), |a| a.expect("add", &shape))?;
    let (g, x, add) = (g.slice(), x.slice(), add.as_ref().map(In::slice));
    fill(py, &shape, |out| {
        start(out, add);
        conv::conv2d_weight(be, out, g, x, s)
    })
}

#[pyfunction]
#[allow(clippy::too_many_arguments)]
fn and_open<'py>(
    py: Python<'py>,
    d: Words<'py>,
    y: Words<'py>,
    x: Words<'py>,
    e: Words<'py>,
    k: u64,
    c: Words<'py>,
) -> Out<'py> {
    for (name, v) in [("y", &y), ("x", &x), ("e", &e), ("c", &c)] {
        v.expect(name, d.shape())?;
    }
    let (mask, y, x, e, c) = (d.slice(), y.slice(), x.slice(), e.slice(), c.slice());
    fill(py, d.shape(), |out| binary::and_open(out, mask, y, x, e, k, c))
}

#[pyfunction]
fn compare_leaves<'py>(
    py: Python<'py>,
    q: Words<'py>,
    digits: Vec<Words<'py>>,
    both: Vec<Words<'py>>,
    k: u64,
) -> Out<'py> {
    let rows = (2 * digits.len().div_ceil(2)).saturating_sub(1);
    let shape: Vec<usize> = [rows].iter().chain(q.shape()).copied().collect();
    let q = q.slice();
    let (digits, both): (Vec<_>, Vec<_>) =
        (digits.iter().map(In::slice).collect(), both.iter().map(In::slice).collect());
    fill(py, &shape, |out| binary::leaves(out, q, &digits, &both, k))
}

#[pyfunction]
fn pack_bits<'py>(py: Python<'py>, words: Words<'py>) -> Bound<'py, PyBytes> {
    let words = words.slice();
    PyBytes::new(py, &py.detach(|| binary::pack(words)))
}

#[pyfunction]
fn unpack_bits<'py>(py: Python<'py>, packed: &[u8], count: usize) -> Out<'py> {
    if count.div_ceil(8) != packed.len() {
        return Err(value(format!("{} bytes are not {count} bits", packed.len())));
    }
    fill(py, &[count], |out| binary::unpack(out, packed))
}

#[pyfunction]
#[pyo3(signature = (a, b, backend=None))]
fn gf64_dot<'py>(py: Python<'py>, a: Words<'py>, b: Words<'py>, backend: Option<&str>) -> PyResult<u64> {
    b.expect("b", a.shape())?;
    let (be, a, b) = (choose(backend)?, a.slice(), b.slice());
    py.detach(|| binary::gf64_dot(be, a, b)).map_err(refused)
}

#[pyfunction]
#[pyo3(signature = (a, b, backend=None))]
fn dot<'py>(py: Python<'py>, a: Words<'py>, b: Words<'py>, backend: Option<&str>) -> PyResult<u64> {
    b.expect("b", a.shape())?;
    let (be, a, b) = (choose(backend)?, a.slice(), b.slice());
    py.detach(|| vector::dot(be, a, b)).map_err(refused)
}

#[pyfunction]
fn sum<'py>(py: Python<'py>, a: Words<'py>, outer: usize, length: usize, inner: usize) -> Out<'py> {
    let a = a.slice();
    let count = outer.checked_mul(inner).ok_or_else(|| value("outer * inner is too large"))?;
    if outer.checked_mul(length).and_then(|v| v.checked_mul(inner)) != Some(a.len()) {
        return Err(value(format!("the array has {} elements, not {outer} x {length} x {inner}", a.len())));
    }
    fill(py, &[count], |out| vector::sum(out, a, outer, length, inner))
}

#[pyfunction]
fn inverse<'py>(py: Python<'py>, a: Words<'py>) -> Out<'py> {
    let values = a.slice();
    fill(py, a.shape(), |out| vector::inverse(out, values))
}

#[pyfunction]
fn rsqrt<'py>(py: Python<'py>, a: Words<'py>) -> Out<'py> {
    let values = a.slice();
    fill(py, a.shape(), |out| tacit_core::roots::rsqrt(out, values))
}

#[pyfunction]
fn is_canonical<'py>(py: Python<'py>, a: Words<'py>) -> bool {
    let a = a.slice();
    py.detach(|| vector::is_canonical(a))
}

#[pyfunction]
fn encode<'py>(py: Python<'py>, x: In<'py, f64>, scale: i32, bits: u32) -> Out<'py> {
    let values = x.slice();
    fill(py, x.shape(), |out| {
        fixed::encode(out, values, scale, bits).map_err(|e| match e {
            EncodeError::Shape(e) => e,
            EncodeError::Value(i) => Error::Shape(format!(
                "element {i} is not finite, or not below 2^{bits} at scale {scale} (flat index {i})"
            )),
        })
    })
}

#[pyfunction]
fn decode<'py>(py: Python<'py>, a: Words<'py>, scale: i32) -> PyResult<Array<'py, f64>> {
    let values = a.slice();
    fill(py, a.shape(), |out| fixed::decode(out, values, scale))
}

#[pyfunction]
fn to_signed<'py>(py: Python<'py>, a: Words<'py>) -> PyResult<Array<'py, i64>> {
    let values = a.slice();
    fill(py, a.shape(), |out| vector::to_signed(out, values))
}

#[pyfunction]
fn from_signed<'py>(py: Python<'py>, a: In<'py, i64>) -> Out<'py> {
    let values = a.slice();
    fill(py, a.shape(), |out| vector::from_signed(out, values))
}

#[pyfunction]
#[pyo3(signature = (c, top, high, k, divisor, constant, backend=None))]
#[allow(clippy::too_many_arguments)]
fn truncation_local<'py>(
    py: Python<'py>,
    c: Words<'py>,
    top: Words<'py>,
    high: Words<'py>,
    k: u64,
    divisor: u64,
    constant: u64,
    backend: Option<&str>,
) -> Out<'py> {
    let (be, k, constant) = (choose(backend)?, element("k", k)?, element("constant", constant)?);
    top.expect("top", c.shape())?;
    high.expect("high", c.shape())?;
    let divisor = Divisor::new(divisor).map_err(refused)?;
    let v = Truncation { c: c.slice(), top: top.slice(), high: high.slice(), k, divisor, constant };
    fill(py, c.shape(), |out| fixed::truncation_local(be, out, v))
}

#[pyfunction]
fn divide<'py>(py: Python<'py>, a: Words<'py>, divisor: u64) -> Out<'py> {
    let (divisor, values) = (Divisor::new(divisor).map_err(refused)?, a.slice());
    fill(py, a.shape(), |out| {
        out.copy_from_slice(values);
        divisor.divide(out);
        Ok(())
    })
}

#[pyfunction]
fn wipe(a: &Bound<'_, PyAny>) -> PyResult<()> {
    let array = cast::<u64>(a)?;
    let mut guard = array.try_readwrite().map_err(|e| value(format!("the array cannot be written to: {e}")))?;
    writable(&mut guard)?.zeroize();
    Ok(())
}

#[pyclass(name = "Prg", module = "tacit._core")]
struct Prg(tacit_core::Prg);

#[pymethods]
impl Prg {
    #[new]
    #[pyo3(signature = (key, stream=0))]
    fn new(key: &[u8], stream: u64) -> PyResult<Self> {
        tacit_core::Prg::new(key, stream).map(Prg).map_err(refused)
    }

    fn field<'py>(&mut self, py: Python<'py>, n: usize) -> Out<'py> {
        fill(py, &[n], |out| self.0.field(out))
    }

    fn below<'py>(&mut self, py: Python<'py>, n: usize, bound: u64) -> Out<'py> {
        fill(py, &[n], |out| self.0.below(out, bound))
    }

    fn bits<'py>(&mut self, py: Python<'py>, n: usize) -> Out<'py> {
        fill(py, &[n], |out| self.0.bits(out))
    }

    fn bytes<'py>(&mut self, py: Python<'py>, n: usize) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, n, |out| py.detach(|| self.0.bytes(out)).map_err(refused))
    }

    #[pyo3(signature = (masks, words, backend=None))]
    fn combine_bits(
        &mut self,
        py: Python<'_>,
        masks: Words<'_>,
        words: Words<'_>,
        backend: Option<&str>,
    ) -> PyResult<(u64, u64)> {
        let (be, masks, words) = (choose(backend)?, masks.slice(), words.slice());
        py.detach(|| self.0.combine_bits(be, masks, words)).map_err(refused)
    }

    #[pyo3(signature = (arrays, backend=None))]
    fn combine(&mut self, py: Python<'_>, arrays: Vec<Words<'_>>, backend: Option<&str>) -> PyResult<Vec<u64>> {
        let (be, slices) = (choose(backend)?, arrays.iter().map(In::slice).collect::<Vec<_>>());
        py.detach(|| self.0.combine(be, &slices)).map_err(refused)
    }

    #[pyo3(signature = (a, b, backend=None))]
    fn weigh<'py>(
        &mut self,
        py: Python<'py>,
        a: Words<'py>,
        b: Words<'py>,
        backend: Option<&str>,
    ) -> PyResult<(Array<'py, u64>, u64)> {
        let (be, mut sum) = (choose(backend)?, 0);
        let (left, right) = (a.slice(), b.slice());
        let out = fill(py, a.shape(), |out| {
            sum = self.0.weigh(be, out, left, right)?;
            Ok(())
        })?;
        Ok((out, sum))
    }
}

#[pyfunction]
#[pyo3(signature = (n, rows, arrays, prgs, backend=None))]
fn mix<'py>(
    py: Python<'py>,
    n: usize,
    rows: Vec<Vec<u64>>,
    arrays: Vec<Words<'py>>,
    mut prgs: Vec<PyRefMut<'py, Prg>>,
    backend: Option<&str>,
) -> PyResult<Vec<Array<'py, u64>>> {
    let be = choose(backend)?;
    rows.iter().flatten().try_for_each(|&w| element("a weight", w).map(|_| ()))?;
    let slices = arrays.iter().map(In::slice).collect::<Vec<_>>();
    let mut prgs = prgs.iter_mut().map(|g| &mut g.0).collect::<Vec<_>>();
    fill_all(py, rows.len(), n, |outs| joint::mix(be, outs, &rows, &slices, &mut prgs))
}

#[pyfunction]
fn wrong_places(
    py: Python<'_>,
    points: Vec<u64>,
    values: Vec<u64>,
    degree: usize,
    most: usize,
) -> PyResult<Option<Vec<usize>>> {
    py.detach(|| code::errors(&points, &values, degree, most)).map_err(refused)
}

/// Several generators as one, see `tacit_core::joint`.
#[pyclass(module = "tacit._core")]
struct Joint(tacit_core::Joint);

#[pymethods]
impl Joint {
    #[new]
    fn new(keys: Vec<Vec<u8>>, weights: Vec<u64>) -> PyResult<Self> {
        let keys = Zeroizing::new(keys);
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        tacit_core::Joint::new(&keys, weights).map(Joint).map_err(refused)
    }

    #[pyo3(signature = (n, bound, backend=None))]
    fn below<'py>(&mut self, py: Python<'py>, n: usize, bound: u64, backend: Option<&str>) -> Out<'py> {
        let be = choose(backend)?;
        fill(py, &[n], |out| self.0.below(be, out, None, bound))
    }

    #[pyo3(signature = (n, bound, divisor, backend=None))]
    fn below_and_high<'py>(
        &mut self,
        py: Python<'py>,
        n: usize,
        bound: u64,
        divisor: u64,
        backend: Option<&str>,
    ) -> PyResult<Vec<Array<'py, u64>>> {
        let (be, divisor) = (choose(backend)?, Divisor::new(divisor).map_err(refused)?);
        fill_all(py, 2, n, |mut outs| {
            let high = outs.pop().map(|high| (high, divisor));
            outs.pop().map_or(Ok(()), |sums| self.0.below(be, sums, high, bound))
        })
    }
}

/// The kernels of tacit.
#[pymodule]
fn _core(m: &Bound<'_, PyModule>) -> PyResult<()> {
    if let Ok(name) = std::env::var("TACIT_BACKEND") {
        choose(Some(&name))?; // better no module than another backend than the one that was asked for
    }
    m.add("P", P)?;
    m.add("PeerError", m.py().get_type::<PeerError>())?;
    m.add_class::<Prg>()?;
    m.add_class::<Joint>()?;
    lattice::register(m)?;
    m.add_function(wrap_pyfunction!(backends, m)?)?;
    m.add_function(wrap_pyfunction!(backend, m)?)?;
    m.add_function(wrap_pyfunction!(threads, m)?)?;
    m.add_function(wrap_pyfunction!(add, m)?)?;
    m.add_function(wrap_pyfunction!(accumulate, m)?)?;
    m.add_function(wrap_pyfunction!(sub, m)?)?;
    m.add_function(wrap_pyfunction!(neg, m)?)?;
    m.add_function(wrap_pyfunction!(mul, m)?)?;
    m.add_function(wrap_pyfunction!(scale, m)?)?;
    m.add_function(wrap_pyfunction!(add_scalar, m)?)?;
    m.add_function(wrap_pyfunction!(multiply_open, m)?)?;
    m.add_function(wrap_pyfunction!(weighted, m)?)?;
    m.add_function(wrap_pyfunction!(mix, m)?)?;
    m.add_function(wrap_pyfunction!(wrong_places, m)?)?;
    m.add_function(wrap_pyfunction!(matmul, m)?)?;
    m.add_function(wrap_pyfunction!(conv2d, m)?)?;
    m.add_function(wrap_pyfunction!(conv2d_input, m)?)?;
    m.add_function(wrap_pyfunction!(conv2d_weight, m)?)?;
    m.add_function(wrap_pyfunction!(and_open, m)?)?;
    m.add_function(wrap_pyfunction!(compare_leaves, m)?)?;
    m.add_function(wrap_pyfunction!(pack_bits, m)?)?;
    m.add_function(wrap_pyfunction!(unpack_bits, m)?)?;
    m.add_function(wrap_pyfunction!(gf64_dot, m)?)?;
    m.add_function(wrap_pyfunction!(dot, m)?)?;
    m.add_function(wrap_pyfunction!(sum, m)?)?;
    m.add_function(wrap_pyfunction!(inverse, m)?)?;
    m.add_function(wrap_pyfunction!(rsqrt, m)?)?;
    m.add_function(wrap_pyfunction!(is_canonical, m)?)?;
    m.add_function(wrap_pyfunction!(encode, m)?)?;
    m.add_function(wrap_pyfunction!(decode, m)?)?;
    m.add_function(wrap_pyfunction!(to_signed, m)?)?;
    m.add_function(wrap_pyfunction!(from_signed, m)?)?;
    m.add_function(wrap_pyfunction!(truncation_local, m)?)?;
    m.add_function(wrap_pyfunction!(divide, m)?)?;
    m.add_function(wrap_pyfunction!(wipe, m)?)?;
    Ok(())
}
