"""How does a recipe become data, a model and an optimizer? Names are looked up, arguments are checked before anything runs."""

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..data import DATASETS
from ..models import MODELS, GlobalNorm
from ..modules import SpatialTransformer
from ..recipe import Recipe, load
from ..registry import Registry
from ..schema import At, Part, check, suggest
from ..transforms import TRANSFORMS
from .checkpoint import load_checkpoint, load_weights, read_tensors
from .interface import Interface, read_interface
from .runs import Run

OPTIMIZERS: Registry[Callable[..., torch.optim.Optimizer]] = Registry("optimizer")
OPTIMIZERS.register("sgd")(torch.optim.SGD)
OPTIMIZERS.register("adam")(torch.optim.Adam)
OPTIMIZERS.register("adamw")(torch.optim.AdamW)
OPTIMIZERS.register("rmsprop")(torch.optim.RMSprop)
# what a model is told of its data, as far as the data set has it: `length` answers to each image
TOLD = ("input_shape", "num_classes", "length")
# what the ``{name: ..}`` in an argument of this name stands for
INSIDE: Mapping[str, Registry[Any]] = {"transform": TRANSFORMS}


def check_parts(recipe: Recipe) -> None:
    """Raise ValueError if data, model or optimizer have a name or an argument that is wrong, before the data are read, which may be long.

    What the data will tell the model is not known yet: the model is not yet asked whether it lacks it.
    """
    for registry, part, where, given, told in (
        (DATASETS, recipe.data, "data", (), ("data_dir",)),
        (MODELS, recipe.model, "model", (), TOLD),
        (OPTIMIZERS, recipe.optimizer, "optimizer", ("params", "lr"), ()),
    ):
        at = At(part.source, where)
        _check_arguments(_look_up(registry, part.name, at), part.name, part.args, at, given=given, told=told)


def build_data(recipe: Recipe, *, data_dir: Path | None = None) -> Any:
    """The data of ``recipe``; its files are looked for in ``data_dir``, if given."""
    given = {} if data_dir is None else {"data_dir": data_dir}
    return make(DATASETS, recipe.data, "data", given=given)


def build_model(recipe: Recipe, data: Any) -> nn.Module:
    """The model of ``recipe`` for images of ``data``, with weights drawn from the seed of the recipe."""
    torch.manual_seed(recipe.seed)
    given = {name: getattr(data, name) for name in TOLD if hasattr(data, name)}
    try:
        model: nn.Module = make(MODELS, recipe.model, "model", given=given)
    except RuntimeError as error:  # torch's answer to a negative width
        at, reason = At(recipe.model.source, "model"), str(error).splitlines()[0]
        raise at.error(f"{recipe.model.name!r} must have arguments of which layers can be made; {reason}.") from error
    if ":" in recipe.model.name:
        _look_at(model, recipe, given)
    for module in model.modules():
        # a mean and a deviation of the training set belong to the model: they are saved with its weights
        if isinstance(module, GlobalNorm) and hasattr(data, "statistics"):
            module.set(*data.statistics())
    return model


def _look_at(model: Any, recipe: Recipe, given: Mapping[str, Any]) -> None:
    """Raise ValueError unless somebody else's network answers two blank images as its task wants it; its weights are left alone."""
    at, name = At(recipe.model.source, "model.name"), repr(recipe.model.name)
    if not isinstance(model, nn.Module):
        raise at.error(f"{name} must make a torch.nn.Module; got {type(model).__name__}.")
    if recipe.task.name != "classification" or not {"input_shape", "num_classes"} <= given.keys():
        return
    images, was_training = torch.zeros(2, *given["input_shape"]), model.training
    try:
        with torch.no_grad(), torch.random.fork_rng([]):
            outputs = model.eval()(images)
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        raise at.error(f"{name} must take images of shape {tuple(images.shape)}; {error}") from error
    model.train(was_training)
    want = (2, given["num_classes"])
    got = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
    if got != want:
        raise at.error(f"{name} must answer {want[0]} images with logits of shape {want}, one a class; got {got}.")


def build_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of ``recipe``; the localizers form a group of their own, which says so: its rate is another."""
    transformers = [module for module in model.modules() if isinstance(module, SpatialTransformer)]
    inside = {id(p) for transformer in transformers for p in transformer.localizer.parameters()}
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in inside], "localizer": False},
        {"params": [p for p in model.parameters() if id(p) in inside], "localizer": True},
    ]
    given = {"params": [group for group in groups if group["params"]], "lr": recipe.train.lr}
    optimizer: torch.optim.Optimizer = make(OPTIMIZERS, recipe.optimizer, "optimizer", given=given)
    return optimizer


def load_run(run: Run, *, data_dir: Path | None = None) -> tuple[Recipe, Any, nn.Module]:
    """The recipe, the data and the model of a run, in evaluation mode: with its final weights, or those of its checkpoint.

    Raises:
        FileNotFoundError: this is not a run, or it has no weights yet.
        ValueError: the weights are damaged.
    """
    recipe = _recipe_of(run)
    data = build_data(recipe, data_dir=data_dir)
    return recipe, data, _trained(run, build_model(recipe, data))


def load_model(run: Run) -> tuple[Recipe, Interface, nn.Module]:
    """As :func:`load_run`, without the data: the recipe, what the model takes and answers, and the model.

    Raises:
        FileNotFoundError: this is not a run, or it has no weights yet.
        ValueError: the weights are damaged.
    """
    recipe = _recipe_of(run)
    if (name := recipe.task.name) != "classification":
        raise ValueError(f"{run.path}: must be a run of the task classification, whose answers are classes; its task is {name}.")
    interface = read_interface(run)
    return recipe, interface, _trained(run, build_model(recipe, interface))


def _recipe_of(run: Run) -> Recipe:
    if not run.recipe.exists():
        raise FileNotFoundError(f"run must be a folder that `reticle train` wrote; got '{run.path}', which has no recipe.yaml.")
    if not run.weights.exists() and not run.checkpoint.exists():
        raise FileNotFoundError(f"{run.path}: has no weights yet.\n  Wait for its first checkpoint, or go on with --resume.")
    return load(run.recipe)


def _trained(run: Run, model: nn.Module) -> nn.Module:
    complete = run.weights.exists()
    tensors = read_tensors(run.weights) if complete else load_checkpoint(run.checkpoint)["model"]
    load_weights(model, tensors, run.weights if complete else run.checkpoint)
    return model.eval()


def make(registry: Registry[Any], part: Part, where: str, *, given: dict[str, Any]) -> Any:
    """Call what ``part`` names with its arguments and the ``given`` ones, which a recipe may not set."""
    at = At(part.source, where)
    thing = _look_up(registry, part.name, at)
    _check_arguments(thing, part.name, part.args, at, given=given)
    try:
        return thing(**given, **{name: _as_tuples(value) for name, value in part.args.items()})
    except TypeError as error:
        # a thing inside may have been given an argument that it has not: a fault of the recipe
        if "keyword argument" not in str(error):
            raise
        raise at.error(f"{error}.") from error


def _check_arguments(
    thing: Any, name: str, args: Mapping[str, Any], at: At, *, given: Iterable[str] = (), told: Iterable[str] = ()
) -> None:
    """Raise ValueError unless ``thing`` takes ``args`` as it is annotated; it is ``given`` others, and perhaps ``told`` some more."""
    parameters = _parameters(thing)
    known = [key for key, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and key not in (*given, *told)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in given:
        if not (takes_any or key in parameters):
            raise at.down("name").error(f"{name!r} must take the argument {key!r}; it takes {', '.join(known)}.")
    for key, value in args.items():
        if key in known:
            _check_value(parameters[key], value, at.down(key))
        elif not takes_any and not (key in told and key in parameters):
            raise at.down(key).error(f"{name!r} has no argument {key!r}. {suggest(key, known)}")
    for key in known:
        if parameters[key].default is inspect.Parameter.empty and key not in args:
            raise at.down(key).error(f"is missing; {name!r} needs it.")


def _check_value(parameter: inspect.Parameter, value: Any, at: At) -> None:
    if value is None and parameter.default is None:
        return
    check(parameter.annotation, value, at)
    registry: Mapping[str, Any] = INSIDE.get(parameter.name, {})
    name = value.get("name") if isinstance(value, Mapping) else None
    if isinstance(name, str) and name in registry:
        _check_arguments(registry[name], name, {key: item for key, item in value.items() if key != "name"}, at)


def _parameters(thing: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(thing, eval_str=True).parameters
    except (NameError, AttributeError, SyntaxError, TypeError):  # annotations of what is there for type checkers only
        return inspect.signature(thing).parameters


def _look_up(registry: Registry[Any], name: str, at: At) -> Any:
    """A registered thing; or, for ``my_package.nets:Net``, one of somebody else's."""
    if ":" not in name:
        try:
            return registry[name]
        except ValueError as error:
            raise at.down("name").error(str(error)) from None
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        fix = "Modules are looked for in the current folder, and where PYTHONPATH says."
        raise at.down("name").error(f"{name!r} must be importable as module:name; {error}.\n  {fix}") from None


def _as_tuples(value: Any) -> Any:
    """YAML has lists only; sizes and the like are tuples in Python."""
    if isinstance(value, dict):
        return {key: _as_tuples(item) for key, item in value.items()}
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value
