"""The profile of a step, told of a trace and a program that are made up."""

import importlib

import pytest
from tiny import ROOT

POOL = "ThreadpoolListener::"
HLO = """\
%fused.1 (p: f32[8]) -> f32[8] {
  %p = f32[8]{0} parameter(0)
  ROOT %add.1 = f32[8]{0} add(%p, %p)
}
%fused.2 (p.2: f32[8]) -> f32[8] {
  %p.2 = f32[8]{0} parameter(0)
  ROOT %conv.1 = f32[8]{0} convolution(%p.2, %p.2), window={size=3}
}
%fused.3 (p.3: f32[8]) -> f32[16] {
  %p.3 = f32[8]{0} parameter(0)
  ROOT %concatenate.1 = f32[16]{0} concatenate(%p.3, %p.3), dimensions={0}
}
ENTRY %main (a: f32[8]) -> (f32[8], f32[16]) {
  %sums = f32[8]{0} fusion(%a), kind=kLoop, calls=%fused.1, metadata={op_name="jit(step)/net/add"}
  %ynn.1 = f32[8]{0} fusion(%a), kind=kCustom, calls=%fused.2
  %pair = (f32[8]{0}, f32[16]{0}) fusion(%a), kind=kLoop, calls=%fused.3
  %dot.7 = f32[8]{0} dot(%a, %a)
  ROOT %copy.2 = f32[8]{0} copy(%sums)
}
"""


@pytest.fixture
def trace(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("xla_trace")


def ms(trace, start, end, name, task=0):
    return trace.Event(start * 1e6, end * 1e6, name, task)


def made_up(trace):
    """A dot of 10 ms whose task another thread runs from 4 to 9; then 5 ms of a sum alone.

    Inside the dot 2 ms are another operation, and 1 ms it waits.
    """
    first = [
        ms(trace, 0, 15, trace.WHOLE), ms(trace, 0, 10, "dot.7", 1),
        ms(trace, 1, 1, POOL + "Record", 5), ms(trace, 6, 8, "ynn.1", 2),
        ms(trace, 9, 10, trace.WAIT), ms(trace, 10, 15, "sums", 3),
    ]  # fmt: skip
    task = [ms(trace, 4, 4, POOL + "StartRegion", 5), ms(trace, 9, 9, POOL + "StopRegion")]
    return [first, task]


def test_tasks_count_to_the_operation_that_put_them_there(trace):
    spans = trace.busy(made_up(trace))
    found = {}
    for x in spans:
        key = (x.thread, x.name)
        found[key] = found.get(key, 0) + (x.end - x.start) / 1e6
    assert found == pytest.approx({
        (0, "dot.7"): 7, (0, "ynn.1"): 2, (0, "sums"): 5, (1, "dot.7"): 5,
    })  # fmt: skip
    assert trace.by_one_thread(spans) == {"dot.7": False, "ynn.1": True, "sums": True}


def test_time_alone_is_that_of_no_other_thread(trace):
    spent = trace.spent_by_name(trace.busy(made_up(trace)))
    assert spent["dot.7"] == pytest.approx((9, 14 / 9, 4))
    assert spent["ynn.1"] == pytest.approx((2, 2, 0))
    assert spent["sums"] == pytest.approx((5, 1, 5))


def test_kinds_are_told_by_what_is_fused(trace):
    kinds, sources = trace.read_hlo(HLO)
    names = ("sums", "ynn.1", "pair", "dot.7", "copy.2")
    assert [kinds[name] for name in names] == [
        "elementwise", "convolution", "concatenation, padding", "matrix product",
        "copy, transposition",
    ]  # fmt: skip
    assert sources["sums"] == "net/add"


def test_the_table_is_of_the_fastest_step(trace, capsys):
    script = importlib.import_module("step_profile")
    slow = ms(trace, 20, 60, trace.WHOLE), ms(trace, 20, 60, "dot.7")
    first, task = made_up(trace)
    script.print_jax([[*first, *slow], task], *trace.read_hlo(HLO))
    output = capsys.readouterr().out
    assert "the fastest took 15 ms" in output
    assert "| matrix product | 1 | 1.56 | 9.0 | 4.0 | 12.0 | 0.0 |" in output
    assert "| elementwise | 1 | 1.00 | 5.0 | 5.0 | 5.0 | 5.0 |" in output
    assert "| all | 3 | 1.36 | 14.0 | 9.0 | 19.0 | 7.0 |" in output


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("aten::mkldnn_convolution", "convolution"),
        ("autograd::engine::evaluate_function: ConvolutionBackward0", "convolution"),
        ("aten::addmm", "matrix product"),
        ("aten::_fused_adam_", "optimizer"),
        ("aten::sum", "reduction"),
        ("aten::copy_", "copy, transposition"),
        ("aten::mul", "elementwise, other"),
    ],
)
def test_kinds_in_pytorch(trace, name, kind):
    assert importlib.import_module("step_profile").torch_kind(name) == kind
