"""The public contracts: they pass what is right, and say in words what is wrong."""

import pytest
import torch
from families import Line

from reticle import MODES, AbstractTransform, Affine, Mode, Translation
from reticle.testing import check_mode, check_transform

pytestmark = pytest.mark.compile


# transforms, each wrong in one way --------------------------------------------------------------------------------------------


class WrongIdentity(Translation):
    def identity(self):
        return torch.full((2,), 1e-6)


class WrongLengthOfIdentity(Translation):
    def identity(self):
        return torch.zeros(3)


class AlmostTheIdentity(Translation):
    """Exact where it claims to be, but the map itself is off."""

    def move(self, theta, points, size=None):
        return super().move(theta, points, size) * (1 + 1e-15) + 1e-16


class LostGradient(Translation):
    def move(self, theta, points, size=None):
        return super().move(theta.detach(), points, size)


class LostGradientToPoints(Translation):
    def move(self, theta, points, size=None):
        return super().move(theta, points.detach(), size)


class WrongGradient(Affine):
    """The value of the map, half of its derivative."""

    def move(self, theta, points, size=None):
        moved = super().move(theta, points, size)
        return moved / 2 + (moved / 2).detach()


class Square(torch.autograd.Function):
    """x squared, with a right first derivative and no second one."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return (2 * ctx.saved_tensors[0]).detach() * grad


class LostSecondDerivative(Translation):
    def move(self, theta, points, size=None):
        return points + Square.apply(theta)[:, None]


class RowsInfluenceEachOther(Translation):
    def move(self, theta, points, size=None):
        return super().move(theta, points, size) + (theta - theta.mean(0))[:, None]


class LastRowRulesAll(Translation):
    def move(self, theta, points, size=None):
        return super().move(theta[-1:].expand_as(theta), points, size)


class NarrowCoordinates(Translation):
    def forward(self, theta, points, size=None):
        return super().forward(theta, points, size).to(points.dtype)


class WrongShape(Translation):
    has_identity = False

    def forward(self, theta, points, size=None):
        return super().forward(theta, points, size).flatten(1, -2)


class FailsOnEmptyBatch(Translation):
    def forward(self, theta, points, size=None):
        theta = torch.cat([theta, theta.new_zeros(1, 2)]) if len(theta) == 0 else theta
        return super().forward(theta, points, size)


class WrongInverse(Translation):
    def inverted(self, theta, size):
        return -0.9 * theta


class InverseOfAnotherOrder(Affine):
    """Inverts the linear part and negates the translation, instead of turning it back too."""

    def inverted(self, theta, size):
        back = super().inverted(theta, size).unflatten(1, (2, 3))
        return torch.cat([back[..., :2], -theta.unflatten(1, (2, 3))[..., 2:]], dim=-1).flatten(1)


class BreaksTheGraph(Translation):
    def move(self, theta, points, size=None):
        if theta.sum().item() > 1e9:  # a look at values
            return points
        return super().move(theta, points, size)


class DiffersWhenCompiled(Translation):
    def move(self, theta, points, size=None):
        return super().move(theta, points, size) + (1e-3 if torch.compiler.is_compiling() else 0.0)


WRONG = {
    WrongIdentity: "does not map points to themselves",
    WrongLengthOfIdentity: r"identity\(\) has shape \(3,\), num_params is 2",
    AlmostTheIdentity: "does not map points to themselves",
    LostGradient: "Jacobian",
    LostGradientToPoints: "Jacobian",
    WrongGradient: "Jacobian",
    LostSecondDerivative: "Jacobian|does not require grad",
    RowsInfluenceEachOther: "rows of theta influence each other",
    LastRowRulesAll: "rows of theta influence each other",
    NarrowCoordinates: "coordinates in torch.float16; they must be float32 or wider",
    WrongShape: "come out as",
    FailsOnEmptyBatch: "an empty batch does not come out empty",
    WrongInverse: r"inverse\(\) does not undo the map",
    InverseOfAnotherOrder: r"inverse\(\) does not undo the map",
    DiffersWhenCompiled: "torch.compile changes the result",
}


@pytest.mark.parametrize(("cls", "message"), WRONG.items(), ids=[cls.__name__ for cls in WRONG])
def test_wrong_transform_fails(cls, message):
    with pytest.raises((AssertionError, RuntimeError), match=message):
        check_transform(cls())


def test_graph_break_fails():
    with pytest.raises(Exception, match=r"data-dependent|Unsupported|item\(\)"):
        check_transform(BreaksTheGraph())


class Shear(AbstractTransform):
    """x' = x + a y, y' = y + b x: right, and not the library's."""

    num_params = 2

    def identity(self):
        return torch.zeros(2)

    def move(self, theta, points, size=None):
        return points + theta[:, None] * points.flip(-1)


@pytest.mark.parametrize("cls", [Shear, Line])
def test_right_transform_of_ones_own_passes(cls):
    check_transform(cls())


class LostSecondDerivativeOfSignals(Line):
    def move(self, theta, points, size=None):
        return points * Square.apply(theta)[:, None, :1] + theta[:, None, 1:]


def test_wrong_transform_of_signals_fails():
    with pytest.raises((AssertionError, RuntimeError), match="Jacobian|does not require grad"):
        check_transform(LostSecondDerivativeOfSignals())


# modes, each wrong in one way -------------------------------------------------------------------------------------------------


def tent(d):
    return torch.where(d < 0, 1 + d, 1 - d)


class Wave(torch.autograd.Function):
    """A smooth kernel with a right first derivative and no second one."""

    @staticmethod
    def forward(ctx, d):
        ctx.save_for_backward(d)
        return d.cos()

    @staticmethod
    def backward(ctx, grad):
        return -ctx.saved_tensors[0].sin().detach() * grad


WRONG_MODES = {
    "NaN at the centre": (Mode(lambda d: torch.sin(d) / d, 2), "phi is not finite over its support"),
    "infinite at the centre": (Mode(lambda d: 1 / d.abs(), 2), "phi is not finite over its support"),
    "not elementwise": (Mode(lambda d: d.sum(-1), 2), "phi must be elementwise"),
    "claims too much": (Mode(tent, 2, exact_degree=2), "claims exact_degree 2, misses degree 2"),
    "claims lines, keeps constants": (Mode(lambda d: torch.ones_like(d), 1, exact_degree=1), "claims exact_degree 1, misses degree 1"),
    "loses constants": (Mode(lambda d: 0.9 * tent(d), 2, exact_degree=0), "claims exact_degree 0, misses degree 0"),
    "off by half a pixel": (Mode(lambda d: tent((d + 0.5).clamp(-1, 1)), 2, exact_degree=1), "misses degree"),
    "detached": (Mode(lambda d: tent(d.detach()), 2, exact_degree=1), "Jacobian|does not require grad"),
    "half of the derivative": (Mode(lambda d: tent(d) / 2 + (tent(d) / 2).detach(), 2, exact_degree=1), "Jacobian"),
    "no second derivative": (Mode(Wave.apply, 2), "Jacobian|does not require grad"),
}


@pytest.mark.parametrize(("mode", "message"), WRONG_MODES.values(), ids=WRONG_MODES)
def test_wrong_mode_fails(mode, message):
    with pytest.raises((AssertionError, RuntimeError), match=message):
        check_mode(mode)


@pytest.mark.parametrize("name", sorted(MODES))
def test_registered_mode_keeps_the_contract(name):
    check_mode(MODES[name])


def test_registered_mode_that_claims_too_little_fails(monkeypatch):
    modest = Mode(tent, 2, exact_degree=0)
    check_mode(modest)  # a mode of one's own may
    monkeypatch.setitem(MODES, "modest", modest)
    with pytest.raises(AssertionError, match="claims exact_degree 0, reproduces degree 1 too"):
        check_mode(modest)


def test_right_modes_of_ones_own_pass():
    check_mode(Mode(tent, 2, exact_degree=1))
    check_mode(Mode(lambda d: torch.exp(-d * d), 4, normalise=True, exact_degree=0))
