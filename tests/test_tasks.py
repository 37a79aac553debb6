"""Tasks: each registered one is documented and says what it can report; its loss and its mistakes are what they should be."""

import inspect

import pytest
import tiny
import torch
from torch.nn.functional import cross_entropy

from reticle.models.locator import Located
from reticle.recipe import changed, load
from reticle.tasks import TASKS, build_task
from reticle.tasks.classification import Classification
from reticle.tasks.colocalisation import Colocalisation, load_embedding, out_of_bounds, overlap, random_patches, shares
from reticle.tasks.sequence import Sequence
from reticle.train import fit
from reticle.training.runs import Run

each_task = pytest.mark.parametrize("name", sorted(TASKS))


@each_task
def test_registered_task_is_documented_and_says_what_it_reports(name):
    task = TASKS[name]
    assert ">>> " in inspect.getdoc(task)
    assert all(metric in inspect.getdoc(task) for metric in task.metrics)
    assert task.metrics["error_percent"](10.0) == 10.0 and task.error_unit == "%"


def test_a_recipe_without_a_task_classifies():
    task = build_task(tiny.recipe())
    assert isinstance(task, Classification) and not task.training and not list(task.parameters())


def test_classification_is_cross_entropy_and_counts_wrong_classes():
    task, logits = Classification(), torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    labels, images = torch.tensor([1, 1, 1]), torch.zeros(3, 1, 2, 2)
    expected = -torch.log_softmax(logits.double(), 1)[:, 1].mean()
    torch.testing.assert_close(task.loss(logits, images, labels).double(), expected)
    assert task.mistakes(logits, labels).tolist() == [100, 100, 0] and task.num_right(logits, labels) == 1
    assert [metric(30.0) for metric in task.metrics.values()] == [30.0, 70.0]


def test_sequence_is_cross_entropy_of_each_character_and_counts_characters():
    task, logits, labels = Sequence(), torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)), torch.arange(12).reshape(4, 3) % 5
    expected = sum(cross_entropy(logits[:, t], labels[:, t]) for t in range(3)) / 3
    torch.testing.assert_close(task.loss(logits, torch.zeros(4, 1, 2, 2), labels), expected)
    answers = labels.clone()
    answers[0, 1] += 1
    answers[2] += 1
    outputs = torch.nn.functional.one_hot(answers % 5, 5).float()
    assert task.mistakes(outputs, labels).sum(1).tolist() == [100, 0, 300, 0]
    assert task.num_right(outputs, labels) == 2  # images without a mistake


# co-localisation --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finder():
    return Colocalisation().requires_grad_(False)


def located(windows, side=28.0):
    return Located(windows, torch.tensor([[0.0, 0.0, side, side]]).expand(len(windows), 4))


def test_loss_is_the_papers_sum_over_pairs(finder):
    windows, images = torch.rand(4, 1, 28, 28), torch.rand(4, 1, 40, 50)
    torch.manual_seed(3)
    loss = finder.loss(located(windows), images, torch.zeros(4, 4))
    torch.manual_seed(3)
    e, r = finder.embed(windows), finder.embed(random_patches(images, 28))
    pairs = [(n, m) for n in range(4) for m in range(4) if n != m]
    terms = [max(0.0, float((e[n] - e[m]).square().sum() - (e[n] - r[n]).square().sum() + finder.alpha)) for n, m in pairs]
    assert loss.item() == pytest.approx(sum(terms) / 12, rel=1e-4)


def test_embedding_is_three_layers_and_stays_as_it_is(finder):
    images = torch.rand(2, 1, 28, 28)
    layers = finder.embedding.layers(images)
    assert len(layers) == 3 and finder.embed(images).shape == (2, sum(layer[0].numel() for layer in layers))
    lengths = finder.embed(images).split([layer[0].numel() for layer in layers], dim=1)
    for part, layer in zip(lengths, layers, strict=True):
        torch.testing.assert_close(part.norm(dim=1), 0.25 * layer.flatten(1).norm(dim=1) ** 0.25)
    windows = images.clone().requires_grad_()
    finder.loss(located(windows), torch.rand(2, 1, 40, 40), torch.zeros(2, 4)).backward()
    assert windows.grad.abs().sum() > 0 and not any(p.requires_grad for p in finder.parameters())


def test_patches_are_cut_from_their_own_images_as_they_are():
    images = torch.arange(2 * 30 * 31.0).reshape(2, 1, 30, 31)
    torch.manual_seed(0)
    corners = set()
    for _ in range(100):
        for image, patch in zip(images, random_patches(images, 28), strict=True):
            y, x = divmod(int(patch[0, 0, 0] - image[0, 0, 0]), 31)
            assert torch.equal(patch, image[:, y : y + 28, x : x + 28])
            corners.add((y, x))
    assert corners == {(y, x) for y in range(3) for x in range(4)}


def test_a_window_is_right_if_it_overlaps_by_more_than_half(finder):
    boxes = torch.tensor([[0.0, 0, 28, 28], [0, 0, 28, 14], [0, 0, 28, 15], [30, 30, 58, 58], [0, 0, 40, 40]])
    truth = torch.tensor([[0.0, 0, 28, 28]]).expand(5, 4)
    torch.testing.assert_close(overlap(boxes, truth), torch.tensor([1, 0.5, 15 / 28, 0, 784 / 1600]))
    assert finder.mistakes(Located(torch.zeros(5, 1, 28, 28), boxes), truth).tolist() == [0, 100, 0, 100, 100]
    assert finder.metrics["correct_percent"](60.0) == 40.0


def test_layers_of_an_embedding_may_count_alike():
    finder, images = Colocalisation(embedding="jaderberg2015/coloc_embedding_clutter", unit=True), torch.rand(2, 1, 28, 28)
    layers = finder.embedding.layers(images)
    assert layers[2].shape == (2, 11)
    for part, layer in zip(finder.embed(images).split([layer[0].numel() for layer in layers], dim=1), layers, strict=True):
        torch.testing.assert_close(part * layer.flatten(1).norm(dim=1, keepdim=True), layer.flatten(1))


def test_windows_beyond_the_image_or_smaller_than_a_patch_are_out_of_bounds():
    found = located(torch.zeros(1, 1, 28, 28))
    boxes = torch.tensor([[0.0, 0, 84, 84], [10, 10, 38, 38], [-42, 0, 84, 105], [0, 0, 14, 21]])
    expected = torch.tensor([[0.0] * 6, [0.0] * 6, [0.5, 0, 0, 0.25, 0, 0], [0, 0, 0, 0, 0.5, 0.25]])
    torch.testing.assert_close(out_of_bounds(found._replace(box=boxes), torch.zeros(4, 1, 84, 84)), expected)


def test_of_two_windows_that_are_as_good_the_smaller_is_better():
    found, images = located(torch.zeros(2, 1, 28, 28)), torch.zeros(2, 1, 84, 84)
    boxes = torch.tensor([[0.0, 10, 42, 52], [-21, 0, 84, 21]])
    torch.testing.assert_close(shares(found._replace(box=boxes), images), torch.tensor([[0.5, 0.5], [1.25, 0.25]]))
    task = Colocalisation(tightness=0.5)
    losses = [task.loss(located(torch.zeros(2, 1, 28, 28), side), images, torch.zeros(2, 4)).item() for side in (28.0, 84.0)]
    assert losses[1] - losses[0] == pytest.approx(0.5 * (1 - 1 / 3), rel=1e-5)


def test_embedding_may_be_a_run_of_ones_own(tmp_path):
    recipe = load("jaderberg2015/coloc_embedding", smoke=True, overrides=["data.name=digits"])
    fit(recipe, tmp_path)
    own, shipped = (load_embedding(name).state_dict() for name in (str(tmp_path), "jaderberg2015/coloc_embedding"))
    assert not any(torch.equal(own[name], shipped[name]) for name in shipped)


def test_windows_move_to_what_images_share(tmp_path):
    overrides = ["data.digits=digits", "data.count=40", "train.steps=60", "train.log_every=20", "train.eval_every=60"]
    fit(load("jaderberg2015/coloc_t_6", overrides=overrides), tmp_path)
    losses = [record["loss"] for record in Run(tmp_path).read_metrics() if "loss" in record]
    assert losses[-1] < losses[0]


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


@pytest.mark.errors
def test_targets_of_another_task_are_named_by_each(finder):
    images = torch.zeros(2, 1, 40, 40)
    with pytest.raises(ValueError, match=r"sequence: `targets` must have shape \(B, T\), B = 2, T = 3; got \(2,\)\.\n  Is `task` the one"):
        Sequence().loss(torch.zeros(2, 3, 4), images, torch.zeros(2))
    with pytest.raises(ValueError, match=r"colocalisation: `targets` must have shape \(B, 4\), B = 2; got \(2,\)\.\n  Name a data set"):
        finder.mistakes(located(torch.zeros(2, 1, 28, 28)), torch.zeros(2))


@pytest.mark.errors
def test_a_pair_needs_two(finder):
    with pytest.raises(ValueError, match=r"colocalisation: `train\.batch_size` must be at least 2 in each process, to make pairs; got 1\."):
        finder.loss(located(torch.zeros(1, 1, 28, 28)), torch.zeros(1, 1, 40, 40), torch.zeros(1, 4))


@pytest.mark.errors
def test_wrong_embedding_is_answered(tmp_path):
    shipped = r"jaderberg2015/coloc_embedding, jaderberg2015/coloc_embedding_clutter"
    fix = rf"\n  Train one: reticle train jaderberg2015/coloc_embedding\. These ship with the package: {shipped}\."
    with pytest.raises(ValueError, match=rf"task\.embedding: must be the folder of a run with its weights; got 'nowhere'\.{fix}"):
        Colocalisation(embedding="nowhere")
    fit(load("digits/rts_clutter_cnn_similarity", smoke=True), tmp_path)
    with pytest.raises(ValueError, match=r"task\.embedding: must be a run of the model 'cnn'; .* has 'st_cnn'\."):
        Colocalisation(embedding=str(tmp_path))
