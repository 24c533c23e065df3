"""Every operation is right, or refused, at the edges of its domain: `domain.TABLE` against PyTorch in float64."""

import pytest
from domain import TABLE, WITHIN
from tests.helpers.settings import full

import tacit
from tacit.torch import table

SETTINGS = {
    "clear": {"protocol": "clear", "parties": 1},
    "spdz": {"protocol": "spdz", "parties": 2},
    "shamir": {"protocol": "shamir", "parties": 3, "threshold": 1},
}


def flat(x):
    return [z for y in x for z in flat(y)] if isinstance(x, list | tuple) else [x]


def outcome(row, inputs):
    """What comes out, and the gradients of its floating parts."""
    out = flat(row.function(*inputs))
    if not row.gradient:
        return [x.detach() for x in out]
    found = sum((x * row.slope).sum() for x in out if x.requires_grad)
    found.backward()
    return [*(x.detach() for x in out), *(x.grad if x.grad is not None else 0 * x.detach() for x in inputs)]


def near(got, right, within, absolute):
    got, right = got.double(), right.double()
    assert got.shape == right.shape
    allowed = within * right.abs() + absolute
    wrong = (got - right).abs() > allowed
    assert not wrong.any(), (
        f"{got[wrong][:4].tolist()} instead of {right[wrong][:4].tolist()} at {wrong.nonzero()[:4].tolist()}"
    )


@pytest.mark.quick()
@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("setting", full(SETTINGS, "clear"))
def test_at_the_edges(setting, name):
    row = TABLE[name]

    def work(s):
        made = [s.secret(x.numpy(), owner=i % s.parties).requires_grad_(row.gradient) for i, x in enumerate(row.inputs)]
        return [s.reveal(x) if s.is_secret(x) else x for x in outcome(row, made)]

    got = tacit.run(work, **SETTINGS[setting], backend="torch")[0]
    plain = [x.clone().requires_grad_(row.gradient) for x in row.inputs]
    right = outcome(row, plain)
    assert len(got) == len(right)
    values = len(right) - (len(plain) if row.gradient else 0)
    for i, (ours, expected) in enumerate(zip(got, right, strict=True)):
        if i < values:
            near(ours, expected, row.within, row.within if row.absolute is None else row.absolute)
        else:
            within, x = row.gradient_within or WITHIN, row.inputs[i - values]
            seen = (x.abs() > 1) & (x.abs() != 4095) if row.kinks else x == x
            near(ours[seen], expected[seen], within, within)


ELSEWHERE = {
    "aten.__and__.Tensor",
    "aten.__or__.Tensor",
    "aten.__xor__.Tensor",
    "aten._conj.default",
    "aten._native_multi_head_attention.default",
    "aten._reshape_alias.default",
    "aten._scaled_dot_product_flash_attention_for_cpu_backward.default",
    "aten.alias.default",
    "aten.bernoulli_.float",
    "aten.clamp_max.Tensor",
    "aten.clamp_min.Tensor",
    "aten.copy.default",
    "aten.copy_.default",
    "aten.fill_.Tensor",
    "aten.index_fill.int_Tensor",
    "aten.index_put.default",
    "aten.isfinite.default",
    "aten.lift_fresh.default",
    "aten.masked_fill.Tensor",
    "aten.masked_scatter.default",
    "aten.max.other",
    "aten.min.other",
    "aten.new_empty.default",
    "aten.new_empty_strided.default",
    "aten.positive.default",
    "aten.rsub.Tensor",
    "aten.squeeze_.default",
    "aten.squeeze_.dim",
    "aten.squeeze_.dims",
    "aten.unsqueeze_.default",
    "aten.zero_.default",
    "aten.rand_like.default",
    "aten.randn_like.default",
}
"""Other names of rules that have a row, what moves numbers only, random numbers, and the gradient of attention (tests/torch)."""


@pytest.mark.timeout(600)
def test_every_operation_has_a_row(monkeypatch):
    """Whatever rule is added, a row of the table has to reach it."""
    reached = set()

    def seen(func, handler):
        def record(*args):
            reached.add(func)
            return handler(*args)

        return record

    known = set(table.TABLE)
    monkeypatch.setattr(table, "TABLE", {func: seen(func, handler) for func, handler in table.TABLE.items()})

    def work(s):
        for row in TABLE.values():
            outcome(row, [s.secret(x.numpy(), owner=0).requires_grad_(row.gradient) for x in row.inputs])

    tacit.run(work, 1, protocol="clear", backend="torch")
    assert sorted({str(func) for func in known - reached} - ELSEWHERE) == []
