"""What do these images have in common, and where is it? Windows that look alike, and unlike anything else in their images."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ..checks import check_shape
from ..models import CNN, MODELS
from ..models.locator import Located
from ..recipe import load
from ..training.build import make
from ..training.checkpoint import read_tensors
from ..training.runs import SHIPPED, Run, find_run, shipped_runs
from .base import TASKS, AbstractTask

MATCH = 0.5  # share of the union of two boxes that their overlap must exceed


@TASKS.register("colocalisation")
class Colocalisation(AbstractTask):
    r"""Find what the images of a set have in common, without labels: outputs are windows and their boxes, targets the true boxes.

    .. math:: \sum_n \sum_{m \ne n} \max\bigl(0, \|e(I_n^T) - e(I_m^T)\|^2 - \|e(I_n^T) - e(I_n^{rand})\|^2 + \alpha\bigr)

    divided by the number of pairs: the windows :math:`I^T` of any two images are to be nearer to each other than to a patch from
    anywhere of their own image. Distances are those of an embedding ``e``, the layers of a trained network, which stays as it is.
    The boxes are for measuring alone. An answer is right if the boxes overlap by more than half of their union.
    Metrics: ``error_percent``, and ``correct_percent``, the share of images in which the window lies on the object.

    Args:
        embedding: the folder of a run of a ``cnn``, or the name of one that ships with the package.
        alpha: the margin.
        bounds: weight of a further term, the square of how far windows reach beyond their images or are smaller than the patches.
        tightness: weight of a further term, the sides of the windows as shares of their images': of two that are as good, the smaller.
        unit: scale each layer of the embedding to a length of one; else it is shortened, and a longer one still counts for more.

    >>> boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 7.0, 7.0]])
    >>> overlap(boxes, torch.tensor([[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 7.0, 7.0]]))
    tensor([0.3333, 1.0000])

    Reference: Jaderberg et al. 2015, A.2.
    """

    metrics = {"error_percent": lambda error: error, "correct_percent": lambda error: 100.0 - error}

    def __init__(
        self,
        *,
        embedding: str = "jaderberg2015/coloc_embedding",
        alpha: float = 1.0,
        bounds: float = 0.0,
        tightness: float = 0.0,
        unit: bool = False,
    ) -> None:
        super().__init__()
        self.embedding, self.alpha, self.bounds, self.tightness = load_embedding(embedding), alpha, bounds, tightness
        self.unit = unit

    def loss(self, outputs: Located, images: Float[Tensor, "b c h w"], targets: Float[Tensor, "b 4"]) -> Float[Tensor, ""]:
        if len(images) < 2:
            raise ValueError(f"colocalisation: `train.batch_size` must be at least 2 in each process, to make pairs; got {len(images)}.")
        windows, patches = self.embed(outputs.window), self.embed(random_patches(images, outputs.window.shape[-1]))
        lengths = windows.square().sum(1)
        # by inner products: differences of all pairs would take three times as long as all the rest
        alike = lengths[:, None] + lengths - 2 * windows @ windows.T
        unlike = (windows - patches).square().sum(1, keepdim=True)
        hinge = (alike - unlike + self.alpha).clamp(min=0)
        pairs = ~torch.eye(len(images), dtype=torch.bool, device=images.device)
        out = out_of_bounds(outputs, images).square().sum(1).mean()
        return hinge[pairs].mean() + self.bounds * out + self.tightness * shares(outputs, images).mean()

    def mistakes(self, outputs: Located, targets: Float[Tensor, "b 4"]) -> Float[Tensor, " b"]:
        check_shape("colocalisation", "targets", targets, "B 4", B=len(outputs.box), hint="Name a data set of images with boxes.")
        return 100.0 * (overlap(outputs.box, targets) <= MATCH)

    def embed(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """The layers of the embedding network, each of length one, or of a quarter of the fourth root of its length."""
        layers = [layer.flatten(1) for layer in self.embedding.layers(images)]
        if self.unit:
            return torch.cat([normalize(layer, dim=1) for layer in layers], dim=1)
        return torch.cat([0.25 * layer / layer.norm(dim=1, keepdim=True).clamp(min=1e-6) ** 0.75 for layer in layers], dim=1)


def random_patches(images: Float[Tensor, "b c h w"], side: int) -> Float[Tensor, "b c s s"]:
    """A square of each image, from anywhere, as it is."""
    corners = torch.stack([torch.randint(0, length - side + 1, (len(images),)) for length in images.shape[2:]], dim=1)
    return torch.stack([image[:, y : y + side, x : x + side] for image, (y, x) in zip(images, corners.tolist(), strict=True)])


def out_of_bounds(outputs: Located, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 6"]:
    """How far each side of a box lies outside the image, as a share of the image's, and how much its own sides lack to a patch's."""
    low, high = outputs.box.split(2, dim=1)
    image, patch = (torch.tensor([x.shape[-1], x.shape[-2]], device=low.device) for x in (images, outputs.window))
    return torch.cat([-low / image, high / image - 1, 1 - (high - low) / patch], dim=1).clamp(min=0)


def shares(outputs: Located, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2"]:
    """The width and height of a box as shares of the image's."""
    return (outputs.box[:, 2:] - outputs.box[:, :2]) / torch.tensor([images.shape[-1], images.shape[-2]], device=images.device)


def overlap(a: Float[Tensor, "b 4"], b: Float[Tensor, "b 4"]) -> Float[Tensor, " b"]:
    """Intersection over union of boxes ``(x_0, y_0, x_1, y_1)``."""
    inside = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    areas = ((box[:, 2:] - box[:, :2]).prod(1) for box in (a, b))
    return inside / (sum(areas) - inside)


def load_embedding(name: str) -> CNN:
    """The network of the run in the folder ``name``, or of the one that ships under this name."""
    try:
        run = find_run(name)
    except FileNotFoundError:
        run = Run(Path(name))
    if not run.weights.exists():
        shipped = [shipped for shipped in shipped_runs() if load(Run(SHIPPED / shipped).recipe).model.name == "cnn"]
        fix = f"Train one: reticle train jaderberg2015/coloc_embedding. These ship with the package: {', '.join(shipped)}."
        raise ValueError(f"task.embedding: must be the folder of a run with its weights; got {name!r}.\n  {fix}")
    recipe = load(run.recipe)
    if recipe.model.name != "cnn":
        raise ValueError(f"task.embedding: must be a run of the model 'cnn'; {run.path} has {recipe.model.name!r}.")
    weights = read_tensors(run.weights)
    # as many as its data had, which need not be there
    classes = len(list(weights.values())[-1])
    model: CNN = make(MODELS, recipe.model, "model", given={"input_shape": (1, 28, 28), "num_classes": classes})
    model.load_state_dict(weights)
    return model
