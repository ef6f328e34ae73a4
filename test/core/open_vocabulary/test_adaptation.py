"""What UL-TTA's arithmetic promises, whatever is seen."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as functional
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from semantic_fast_sam_ros.core.open_vocabulary import adaptation
from semantic_fast_sam_ros.core.open_vocabulary.adaptation import State
from semantic_fast_sam_ros.core.settings.adaptation import UlTtaSettings

DIMENSIONS, SHARPNESS = 6, 10.0
QUICK = UlTtaSettings(
    gate=0.4, anchor=5.0, angle=15.0, prior_anchor=10.0, divergence=0.1, memory=20.0
)
seeds = st.integers(0, 10**6)
counts = st.integers(2, 7)


def looks_of(count: int) -> tuple[tuple[str, ...], ...]:
    return tuple((f'name {i}',) for i in range(count))


def unit(generator: torch.Generator, rows: int) -> Tensor:
    """Return random unit rows, (rows, DIMENSIONS)."""
    return functional.normalize(torch.randn((rows, DIMENSIONS), generator=generator), dim=1)


def fresh(count: int) -> State:
    state = adaptation.empty(DIMENSIONS, torch.device('cpu'))
    return adaptation.known(state, looks_of(count))


def after(state: State, text: Tensor, images: list[Tensor], chosen: UlTtaSettings) -> State:
    """Return the state after images, each the vectors (N, dim) of its masks."""
    for vectors in images:
        found = adaptation.adapted(state, text, chosen)
        state = adaptation.take_in(state, vectors, text, found, SHARPNESS, chosen)
    return state


def scene(seed: int, count: int, images: int = 5) -> tuple[Tensor, list[Tensor]]:
    """Return text vectors (dim, count), and images whose masks lie near some of them."""
    generator = torch.Generator().manual_seed(seed)
    text = unit(generator, count)
    which = torch.randint(count, (images, 4), generator=generator)
    noise = 0.6 * torch.randn((images, 4, DIMENSIONS), generator=generator)
    near = functional.normalize(text[which] + noise, dim=2)
    return text.T.contiguous(), list(near)


@given(seeds, counts)
@settings(max_examples=10, deadline=None)
def test_infinite_anchors_are_exactly_the_texts(seed: int, count: int) -> None:
    text, images = scene(seed, count)
    chosen = replace(QUICK, anchor=math.inf, prior_anchor=math.inf)
    found = adaptation.adapted(after(fresh(count), text, images, chosen), text, chosen)
    plain = SHARPNESS * (images[0] @ text)
    assert torch.equal(found.logits(images[0], SHARPNESS) / found.temperature, plain)


@given(seeds, counts)
@settings(max_examples=8, deadline=None)
def test_guards_at_nothing_are_exactly_the_texts(seed: int, count: int) -> None:
    text, images = scene(seed, count)
    chosen = replace(QUICK, angle=0.0, divergence=0.0, temperature=1.0)
    found = adaptation.adapted(after(fresh(count), text, images, chosen), text, chosen)
    plain = SHARPNESS * (images[0] @ text)
    assert torch.equal(found.logits(images[0], SHARPNESS) / found.temperature, plain)


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_one_name_changes_nothing(seed: int) -> None:
    text, images = scene(seed, 1)
    state = fresh(1)
    assert after(state, text, images, QUICK) is state


@given(seeds, counts)
@settings(max_examples=10, deadline=None)
def test_names_in_another_order_learn_the_same(seed: int, count: int) -> None:
    text, images = scene(seed, count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    one = after(fresh(count), text, images, QUICK)
    looks = tuple(looks_of(count)[i] for i in order.tolist())
    other = after(adaptation.part(fresh(count), looks), text[:, order], images, QUICK)
    for name in ('sums', 'counts', 'seen', 'taken', 'moved'):
        expected, found = getattr(one, name)[order], getattr(other, name)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3, msg=name)
    torch.testing.assert_close(other.margins, one.margins, rtol=1e-3, atol=1e-3)


@given(
    seeds,
    st.floats(1.0, 60.0),
    st.floats(0.001, 1.0),
    st.floats(1.0, 3.0),
    st.floats(1.0, 200.0),
)
@settings(max_examples=2, deadline=None)
def test_bounds_hold_over_ten_thousand_updates(
    seed: int, angle: float, divergence: float, temperature: float, memory: float
) -> None:
    chosen = UlTtaSettings(0.0, 0.01, angle, 0.01, divergence, temperature, memory)
    generator = torch.Generator().manual_seed(seed)
    text, state = unit(generator, 4).T.contiguous(), fresh(4)
    for step in range(10):
        # Of any direction, each thousand about another one, so that drift has its way.
        masks = torch.randn((2000, DIMENSIONS), generator=generator) + unit(generator, 1)
        with torch.inference_mode():
            state = after(state, text, list(functional.normalize(masks, dim=1).split(2)), chosen)
            found = adaptation.adapted(state, text, chosen)
        assert int(state.taken.sum()) == (step + 1) * 2000
        cosines = (found.weights * text).sum(0)
        assert (cosines >= math.cos(math.radians(angle)) - 1e-4).all()
        torch.testing.assert_close(found.weights.norm(dim=0), torch.ones(4))
        shares = found.bias.exp() / 4
        assert float(shares.sum()) == pytest.approx(1, abs=1e-4)
        assert float((shares * found.bias).sum()) <= divergence + 1e-4
        assert 1 / temperature - 1e-4 <= float(found.temperature) <= temperature + 1e-4
        assert (state.counts <= memory + 2).all() and state.sums.isfinite().all()


def test_prototypes_turn_towards_what_is_seen_beside_the_others() -> None:
    text = torch.eye(DIMENSIONS)[:, :2].contiguous()  # (dim, 2)
    aside = torch.eye(DIMENSIONS)[2]
    first = functional.normalize(text[:, 0] + 0.3 * aside, dim=0)
    second = functional.normalize(text[:, 1] - 0.3 * aside, dim=0)
    state = after(fresh(2), text, [torch.stack([first, second])] * 20, QUICK)
    found = adaptation.adapted(state, text, QUICK).weights
    assert found[2, 0] > 0.1 and found[2, 1] < -0.1


def test_a_gap_that_all_names_share_moves_none() -> None:
    text = torch.eye(DIMENSIONS)[:, :2].contiguous()
    shifted = functional.normalize(text.T + 0.5 * torch.eye(DIMENSIONS)[3], dim=1)
    state = after(fresh(2), text, [shifted] * 20, QUICK)
    found = adaptation.adapted(state, text, QUICK).weights
    assert state.taken.tolist() == [20, 20]
    assert float((found * text).sum(0).min()) > math.cos(math.radians(6))


def test_frequent_names_are_believed_more_often() -> None:
    text, _ = scene(1, 3)
    state = after(fresh(3), text, [text.T[[0, 0, 0, 1]]] * 5, QUICK)
    bias = adaptation.adapted(state, text, QUICK).bias
    assert bias[0] > bias[1] > bias[2]


def test_unsure_masks_teach_nothing() -> None:
    text = torch.eye(DIMENSIONS)[:, :2].contiguous()
    between = functional.normalize(text.sum(1), dim=0)[None]
    state = after(fresh(2), text, [between] * 3, replace(QUICK, gate=0.9))
    assert state.taken.tolist() == [0, 0] and not state.sums.any()


def test_a_name_that_returns_gets_its_own_back() -> None:
    text, images = scene(5, 3)
    state = after(fresh(3), text, images, QUICK)
    looks = (('new',), ('name 2',))
    grown = adaptation.known(state, looks)
    own = adaptation.part(grown, looks)
    assert own.taken[0] == 0 and own.taken[1] == state.taken[2]
    changed = adaptation.merged(grown, after(own, text[:, 1:], images, QUICK))
    assert changed.looks == (*looks_of(3), ('new',))
    torch.testing.assert_close(changed.sums[:2], state.sums[:2])
    back = adaptation.part(changed, looks_of(3))
    torch.testing.assert_close(back.counts[:2], state.counts[:2])
    assert back.counts[2] == changed.counts[2] and changed.counts[3] >= 0
