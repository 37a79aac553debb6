"""Tasks: each registered one is documented and says what it can report; its loss and its mistakes are what they should be."""

import inspect

import pytest
import tiny
import torch

from reticle.recipe import changed
from reticle.tasks import TASKS, build_task
from reticle.tasks.classification import Classification

each_task = pytest.mark.parametrize("name", sorted(TASKS))


@each_task
def test_registered_task_is_documented_and_says_what_it_reports(name):
    task = TASKS[name]
    assert ">>> " in inspect.getdoc(task)
    assert all(metric in inspect.getdoc(task) for metric in task.metrics)
    for metric in task.metrics.values():
        assert metric.of(10.0) > metric.of(0.0) if metric.better == "lower" else metric.of(10.0) < metric.of(0.0)
        assert metric.unit == "%"


def test_a_recipe_without_a_task_classifies():
    task = build_task(tiny.recipe())
    assert isinstance(task, Classification) and not task.training and not list(task.parameters())


def test_classification_is_cross_entropy_and_counts_wrong_classes():
    task, logits = Classification(), torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    labels, images = torch.tensor([1, 1, 1]), torch.zeros(3, 1, 2, 2)
    expected = -torch.log_softmax(logits.double(), 1)[:, 1].mean()
    torch.testing.assert_close(task.loss(logits, images, labels).double(), expected)
    assert task.mistakes(logits, labels).tolist() == [100, 100, 0] and task.num_right(logits, labels) == 1
    assert [metric.of(30.0) for metric in task.metrics.values()] == [30.0, 70.0]


# errors -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.errors
@pytest.mark.parametrize(
    "change, message",
    [
        ({"task": "clasification"}, "Unknown task 'clasification'. Did you mean 'classification'?"),
        ({"task.alpha": 2}, "task.alpha: 'classification' has no argument 'alpha'."),
        ({"source.metric": "errors"}, "source.metric: must be one of error_percent, accuracy_percent; got 'errors'."),
    ],
)
def test_wrong_task_is_answered(change, message):
    with pytest.raises(ValueError) as error:
        build_task(changed(tiny.recipe(), change, "test"))
    assert message in str(error.value)


@pytest.mark.errors
def test_targets_of_another_task_are_named():
    with pytest.raises(ValueError, match=r"classification: `targets` must have shape \(B\), B = 2; got \(2, 3\)\.\n  Is `task` the one"):
        Classification().loss(torch.zeros(2, 4), torch.zeros(2, 1, 2, 2), torch.zeros(2, 3))
