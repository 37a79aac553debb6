"""The families of maps T_theta: which point of the input does each point of the output come from?"""

from .affine import Affine as Affine
from .attention import Attention as Attention
from .base import TRANSFORMS as TRANSFORMS
from .base import AbstractMatrixTransform as AbstractMatrixTransform
from .base import AbstractTransform as AbstractTransform
from .compose import Compose as Compose
from .projective import Projective as Projective
from .restricted import Restricted as Restricted
from .rigid import Rigid as Rigid
from .similarity import Similarity as Similarity
from .tps import ThinPlateSpline as ThinPlateSpline
from .translation import Translation as Translation
