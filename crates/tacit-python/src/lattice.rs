//! Lattices: a party's keys, layouts of products, ciphertexts of others.

use crate::arrays::{fill, refused, value, In};
use crate::{Out, Words};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tacit_core::conv::Conv;
use tacit_core::lattice::{party, Ciphertext, Layout, Packing, Party, Side};
use tacit_core::Error;

/// How one product is laid out.
#[pyclass(frozen, module = "tacit._core")]
pub struct LatticeLayout(Layout);

/// What another party encrypted, checked.
#[pyclass(frozen, module = "tacit._core")]
pub struct Ciphertexts(Vec<Ciphertext>);

/// Another party's encrypted alpha, ready to multiply.
#[pyclass(frozen, module = "tacit._core")]
pub struct Multiplier(tacit_core::lattice::Multiplier);

/// A party's keys.
#[pyclass(module = "tacit._core")]
pub struct LatticeParty(Party);

fn inner<'a>(layouts: &'a [PyRef<'_, LatticeLayout>]) -> Vec<&'a Layout> {
    layouts.iter().map(|l| &l.0).collect()
}

fn side(left: bool) -> Side {
    if left {
        Side::Left
    } else {
        Side::Right
    }
}

fn bytes<'py>(py: Python<'py>, work: impl FnOnce() -> Result<Vec<u8>, Error> + Send) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &py.detach(work).map_err(refused)?))
}

fn array<'py>(py: Python<'py>, count: usize, work: impl FnOnce(&mut [u64]) -> Result<(), Error> + Send) -> Out<'py> {
    fill(py, &[count], work)
}

#[pymethods]
impl LatticeParty {
    #[new]
    fn new(py: Python<'_>, session: &[u8], me: u32, parties: u32, seed: [u8; 32]) -> PyResult<Self> {
        py.detach(|| Party::new(session, me, parties, seed)).map(Self).map_err(refused)
    }

    #[getter]
    fn slots(&self) -> usize {
        self.0.parameters().degree()
    }

    fn hello<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.hello())
    }

    fn meet(&mut self, py: Python<'_>, peer: u32, hello: In<'_, u8>) -> PyResult<()> {
        let hello = hello.slice();
        py.detach(|| self.0.meet(peer, hello)).map_err(refused)
    }

    #[staticmethod]
    fn elementwise(count: usize) -> LatticeLayout {
        LatticeLayout(Layout::Slots(count))
    }

    fn matrix(&self, m: usize, k: usize, n: usize, left: bool) -> PyResult<LatticeLayout> {
        let packing = Packing::matrix(self.0.parameters(), (m, k, n), side(left), party::DEPTH as usize);
        Ok(LatticeLayout(Layout::Blocks(packing.map_err(refused)?, side(left))))
    }

    #[allow(clippy::too_many_arguments)]
    fn convolution(
        &self,
        kind: &str,
        image: [usize; 4],
        filter: [usize; 4],
        stride: (usize, usize),
        padding: (usize, usize),
        left: bool,
    ) -> PyResult<LatticeLayout> {
        let ([batch, channels, height, width], [filters, _, rows, columns]) = (image, filter);
        let (size, kernel) = ((height, width), (rows, columns));
        let s = Conv { batch, channels, size, filters, kernel, stride, padding };
        let (p, side, most) = (self.0.parameters(), side(left), party::DEPTH as usize);
        let packing = match kind {
            "output" => Packing::conv2d(p, s, side, most),
            "input" => Packing::conv2d_input(p, s, side, most),
            "weight" => Packing::conv2d_weight(p, s, side, most),
            _ => return Err(value(format!("{kind:?} is no convolution: output, input or weight"))),
        };
        Ok(LatticeLayout(Layout::Blocks(packing.map_err(refused)?, side)))
    }

    fn encrypted_bytes(&self, layouts: Vec<PyRef<'_, LatticeLayout>>) -> usize {
        self.0.encrypted_bytes(&inner(&layouts))
    }

    fn response_bytes(&self, layout: &LatticeLayout) -> usize {
        layout.0.response_bytes(self.0.parameters())
    }

    fn products(&self, layout: &LatticeLayout) -> usize {
        layout.0.products(self.0.parameters())
    }

    fn encrypt<'py>(
        &mut self,
        py: Python<'py>,
        layouts: Vec<PyRef<'py, LatticeLayout>>,
        values: Vec<Words<'py>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        tacit_core::error::same_length("the values", layouts.len(), values.len()).map_err(refused)?;
        let operands: Vec<_> = inner(&layouts).into_iter().zip(values.iter().map(In::slice)).collect();
        bytes(py, || self.0.encrypt(&operands))
    }

    fn accept(
        &mut self,
        py: Python<'_>,
        peer: u32,
        layouts: Vec<PyRef<'_, LatticeLayout>>,
        data: In<'_, u8>,
    ) -> PyResult<Vec<Ciphertexts>> {
        let (layouts, data) = (inner(&layouts), data.slice());
        let found = py.detach(|| self.0.accept(peer, &layouts, data)).map_err(refused)?;
        Ok(found.into_iter().map(Ciphertexts).collect())
    }

    fn respond<'py>(
        &self,
        py: Python<'py>,
        peer: u32,
        layout: &LatticeLayout,
        encrypted: &Ciphertexts,
        operand: Words<'py>,
        masks: Words<'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (operand, masks) = (operand.slice(), masks.slice());
        bytes(py, || self.0.respond(peer, &layout.0, &encrypted.0, operand, masks))
    }

    fn open<'py>(&self, py: Python<'py>, layout: &LatticeLayout, count: usize, data: In<'_, u8>) -> Out<'py> {
        let data = data.slice();
        array(py, count, |out| copy(out, &self.0.open(&layout.0, data)?))
    }

    fn scaled_bytes(&self, count: usize) -> usize {
        self.0.scaled_bytes(count)
    }

    fn multiplier(&self, py: Python<'_>, alpha: &Ciphertexts) -> PyResult<Multiplier> {
        py.detach(|| self.0.multiplier(&alpha.0)).map(Multiplier).map_err(refused)
    }

    #[pyo3(signature = (peer, alpha, values, masks, narrow=false))]
    fn scale<'py>(
        &self,
        py: Python<'py>,
        peer: u32,
        alpha: &Multiplier,
        values: Words<'py>,
        masks: Words<'py>,
        narrow: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (values, masks) = (values.slice(), masks.slice());
        bytes(py, || self.0.scale(peer, &alpha.0, narrow, values, masks))
    }

    fn open_scaled<'py>(&self, py: Python<'py>, count: usize, data: In<'_, u8>) -> Out<'py> {
        let data = data.slice();
        array(py, count, |out| copy(out, &self.0.open_scaled(count, data)?))
    }
}

fn copy(out: &mut [u64], v: &[u64]) -> Result<(), Error> {
    tacit_core::error::same_length("the result", v.len(), out.len())?;
    out.copy_from_slice(v);
    Ok(())
}

/// Adds this file's classes.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<LatticeParty>()?;
    m.add_class::<LatticeLayout>()?;
    m.add_class::<Multiplier>()?;
    m.add_class::<Ciphertexts>()
}
