"""Losses on labels that allow several classes push none of the allowed ones down."""

import pytest
import torch
from marginal_loss import marginal_cross_entropy, marginal_lovasz, training_loss
from torch import Tensor
from torch.nn import functional

# Mark 0 says nothing, 1 to 3 a class each, 4 the first or second, 5 the third, perhaps the first.
ALLOWANCES = torch.tensor([[1.0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0.3, 0, 1]])
EQUAL = torch.ones(6)


def logits_for(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 8, 12, generator=generator).requires_grad_()


def marks_for(values: list[int]) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.tensor(values)[torch.randint(len(values), (2, 8, 12), generator=generator)]


def test_exact_labels_give_weighted_cross_entropy() -> None:
    logits, marks = logits_for(), marks_for([0, 1, 2, 3])
    weights = torch.tensor([0.0, 0.5, 2.0, 1.0, 0, 0])
    expected = functional.cross_entropy(logits, marks - 1, weights[1:4], ignore_index=-1)
    found = marginal_cross_entropy(logits, marks, ALLOWANCES, weights)
    torch.testing.assert_close(found, expected)


def test_what_a_label_does_not_tell_apart_is_not_pushed_either_way() -> None:
    logits = torch.tensor([2.0, -1.0, -20.0]).view(1, 3, 1, 1).requires_grad_()
    loss = marginal_cross_entropy(logits, torch.full((1, 1, 1), 4), ALLOWANCES, EQUAL)
    loss.backward()
    assert logits.grad is not None
    assert loss.item() == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(logits.grad, torch.zeros(1, 3, 1, 1), atol=1e-6, rtol=0)


def test_a_class_that_is_perhaps_meant_is_pushed_less_than_a_wrong_one() -> None:
    def push(mark: int) -> float:
        logits = torch.tensor([2.0, -9.0, 0.0]).view(1, 3, 1, 1).requires_grad_()
        loss = marginal_cross_entropy(logits, torch.full((1, 1, 1), mark), ALLOWANCES, EQUAL)
        return float(torch.autograd.grad(loss, logits)[0][0, 0, 0, 0])

    assert 0 < push(5) < push(3) / 2


@pytest.mark.parametrize('loss', [marginal_cross_entropy, marginal_lovasz])
def test_images_that_say_nothing_cost_nothing(loss) -> None:  # type: ignore[no-untyped-def]
    logits = logits_for()
    weights = [EQUAL] if loss is marginal_cross_entropy else []
    loss(logits, torch.zeros(2, 8, 12, dtype=torch.long), ALLOWANCES, *weights).backward()
    assert logits.grad is not None and not logits.grad.any()


def test_the_lovasz_loss_is_one_less_the_iou_of_certain_answers() -> None:
    marks = marks_for([1, 2, 3])
    answers = marks_for([1, 2, 3]).roll(1, 2)
    certain = 200.0 * functional.one_hot(answers - 1, 3).permute(0, 3, 1, 2).float()
    ious = [
        ((marks == m) & (answers == m)).sum() / ((marks == m) | (answers == m)).sum()
        for m in (1, 2, 3)
    ]
    found = marginal_lovasz(certain, marks, ALLOWANCES)
    torch.testing.assert_close(found, 1 - torch.stack(ious).mean())


def test_marks_that_share_a_class_are_no_errors_of_each_other() -> None:
    marks = marks_for([1, 4])
    certain = 200.0 * ALLOWANCES[1].view(1, 3, 1, 1).expand(2, 3, 8, 12)
    assert marginal_lovasz(certain, marks, ALLOWANCES).item() == pytest.approx(0, abs=1e-6)


def test_both_outputs_of_the_network_learn() -> None:
    main = torch.randn(2, 3, 8, 12).requires_grad_()
    auxiliary = torch.randn(2, 3, 4, 6).requires_grad_()
    marks = marks_for([0, 1, 2, 3, 4, 5]).repeat(1, 2, 2)
    training_loss((main, auxiliary), marks, ALLOWANCES, EQUAL).backward()
    assert main.grad is not None and main.grad.any()
    assert auxiliary.grad is not None and auxiliary.grad.any()
