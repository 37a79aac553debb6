"""Reading, finding and downloading the files of MNIST, and what is said of damaged ones."""

import gzip
import hashlib
import http.server
import re
import struct
import threading
from functools import partial

import numpy as np
import pytest
import torch

from reticle.data import DATASETS, mnist, read_idx

PIXELS = bytes(range(12))
IDX = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 2, 3) + PIXELS


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# ---- idx ----


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_is_read_plain_or_gzipped(tmp_path, pack):
    array = read_idx(write(tmp_path / "any-name", pack(IDX)), shape=(2, 2, 3), md5=hashlib.md5(IDX).hexdigest())
    assert array.dtype == np.uint8 and array.flags.writeable
    assert array.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]


HEADER = "begin with an IDX header of bytes, 00 00 08 and the sizes"
PACKED = gzip.compress(IDX)
DAMAGED = {
    "empty": (b"", {}, f"{HEADER}; got an empty file"),
    "another format": (b"<html>", {}, f"{HEADER}; got 3c 68 74 6d 6c 3e"),
    "half a header": (IDX[:7], {}, f"{HEADER}; got 00 00 08 03 00 00 00"),
    "floats": (IDX.replace(b"\x08", b"\x0d", 1), {}, f"{HEADER}; got 00 00 0d 03 00 00 00 02"),
    "too short": (IDX[:-5], {}, "hold 12 bytes after its header, (2, 2, 3); got 7"),
    "too long": (IDX + b"!", {}, "hold 12 bytes after its header, (2, 2, 3); got 13"),
    "another size": (IDX, {"shape": (3, 2, 2)}, "hold (3, 2, 2) bytes; got (2, 2, 3)"),
    "another content": (IDX, {"md5": "f" * 32}, f"have the md5 {'f' * 32} when unpacked; got {hashlib.md5(IDX).hexdigest()}"),
    "truncated": (PACKED[:-9], {}, f"be a whole gzip file; got {len(PACKED) - 9} bytes that do not unpack (Compressed file ended before"),
    "truncated early": (PACKED[:3], {}, "be a whole gzip file; got 3 bytes that do not unpack (Compressed file ended before"),
    "wrong checksum": (PACKED[:-8] + bytes(8), {}, f"be a whole gzip file; got {len(PACKED)} bytes that do not unpack (CRC check failed"),
    "garbage inside": (PACKED[:10] + b"\xff" * 20, {}, "be a whole gzip file; got 30 bytes that do not unpack (Error -3"),
}


@pytest.mark.errors
@pytest.mark.parametrize("content, options, message", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named_explained_and_kept(tmp_path, content, options, message):
    path = write(tmp_path / "images", content)
    with pytest.raises(ValueError, match=re.escape(f"{path} must {message}")) as error:
        read_idx(path, **options)
    assert str(error.value).endswith(
        "\n  Probably an interrupted or wrong download: fetch it again, or move it away to have it downloaded."
    )
    assert path.read_bytes() == content


# ---- finding and downloading ----


def tiny_file(name, shape, fill):
    content = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(fill)
    packed = gzip.compress(content, mtime=0)
    return mnist.IdxFile(name, shape, hashlib.md5(content).hexdigest(), hashlib.md5(packed).hexdigest()), packed


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """MNIST of four training and two test images, an empty cache, no net. Gives the gzipped files by name."""
    made = {
        "train_images": tiny_file("train-images-idx3-ubyte", (4, 8, 8), [1] * 256),
        "train_labels": tiny_file("train-labels-idx1-ubyte", (4,), [3, 1, 4, 1]),
        "test_images": tiny_file("t10k-images-idx3-ubyte", (2, 8, 8), [2] * 128),
        "test_labels": tiny_file("t10k-labels-idx1-ubyte", (2,), [5, 9]),
    }
    monkeypatch.setattr(mnist, "FILES", {key: file for key, (file, _) in made.items()})
    monkeypatch.setattr(mnist, "MIRRORS", ())
    monkeypatch.setattr(mnist.pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.delenv("RETICLE_DATA", raising=False)
    return {file.name: packed for file, packed in made.values()}


@pytest.fixture
def mirror(tmp_path):
    """A web server: its address and the folder that it serves."""
    folder = tmp_path / "www"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", folder
        server.shutdown()


@pytest.mark.parametrize("folder", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("ending, unpack", [(".gz", bytes), ("", gzip.decompress)])
def test_mnist_is_found_in_a_folder(tiny, tmp_path, folder, ending, unpack):
    for name, packed in tiny.items():
        write(tmp_path / folder / f"{name}{ending}", unpack(packed))
    data = DATASETS["mnist"](data_dir=tmp_path)
    assert (data.num_train, data.num_test, data.num_classes, data.input_shape) == (4, 2, 10, (1, 42, 42))
    assert data.test_set()[1].tolist() == [5, 9]


def test_data_dir_comes_before_the_environment(tiny, tmp_path, monkeypatch):
    for name, packed in tiny.items():
        write(tmp_path / "env" / f"{name}.gz", packed)
    monkeypatch.setenv("RETICLE_DATA", str(tmp_path / "env"))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert DATASETS["mnist"](data_dir=empty).num_train == 4  # found through the environment
    broken = write(empty / "train-images-idx3-ubyte.gz", b"broken")
    with pytest.raises(ValueError, match=re.escape(str(broken))):
        DATASETS["mnist"](data_dir=empty)
    assert broken.read_bytes() == b"broken"


@pytest.mark.errors
def test_files_that_only_look_like_mnist_are_refused(tiny, tmp_path):
    for name, packed in tiny.items():
        other = gzip.decompress(packed)[:-1] + b"\0"
        path = write(tmp_path / f"{name}.gz", gzip.compress(other))
    with pytest.raises(ValueError, match=f"{path.parent}/train-images-idx3-ubyte.gz must have the md5 .* when unpacked"):
        DATASETS["mnist"](data_dir=tmp_path)


@pytest.mark.errors
def test_a_folder_that_does_not_exist_is_an_error(tiny, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"mnist: `data_dir` must be an existing folder; got '.*nowhere'.\n  Correct or unset it"):
        DATASETS["mnist"](data_dir=tmp_path / "nowhere")
    monkeypatch.setenv("RETICLE_DATA", "/no/where")
    with pytest.raises(ValueError, match=r"mnist: `\$RETICLE_DATA` must be an existing folder; got '/no/where'"):
        DATASETS["mnist"]()


def test_mnist_is_downloaded_once_from_the_first_mirror_that_has_it(tiny, mirror, monkeypatch, capsys):
    address, folder = mirror
    for name, packed in tiny.items():
        write(folder / "good" / f"{name}.gz", packed)
        write(folder / "bad" / f"{name}.gz", packed[:-1])
    monkeypatch.setattr(mnist, "MIRRORS", tuple(address + place for place in ("none/", "bad/", "good/")))
    assert DATASETS["mnist"]().test_set()[1].tolist() == [5, 9]
    assert "train-images-idx3-ubyte.gz" in capsys.readouterr().err
    monkeypatch.setattr(mnist, "MIRRORS", (address + "none/",))
    assert DATASETS["mnist"]().num_train == 4  # from the cache


def test_a_failed_download_says_what_to_do(tiny, mirror, tmp_path, monkeypatch):
    address, folder = mirror
    write(folder / "bad" / "train-images-idx3-ubyte.gz", b"<html>")
    monkeypatch.setattr(mnist, "MIRRORS", (address, address + "bad/"))
    with pytest.raises(FileNotFoundError) as error:
        DATASETS["mnist"]()
    lines = str(error.value).splitlines()
    assert lines[0] == "train-images-idx3-ubyte.gz must be downloaded once, and could not be:"
    assert lines[1].startswith(f"    {address}train-images-idx3-ubyte.gz: 404")
    assert lines[2].startswith(f"    {address}bad/train-images-idx3-ubyte.gz: MD5 hash of downloaded file")
    assert lines[-1].startswith("  Put MNIST's four .gz files into a folder and name it with --data-dir or $RETICLE_DATA")
    assert not list((tmp_path / "cache").rglob("*.gz"))


def test_real_mnist(mnist_dir):
    data = DATASETS["mnist"](distortion="none", canvas=28, data_dir=mnist_dir)
    assert data.train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # the well-known mean and deviation of the test images
    levels = data.test.images / 255
    torch.testing.assert_close(torch.stack([levels.mean(), levels.std()]), torch.tensor([0.1325, 0.3105]), atol=5e-5, rtol=0)
    images, labels = data.plain(10)
    assert labels.tolist() == [7, 2, 1, 0, 4, 9, 5, 6, 3, 8]
    torch.testing.assert_close(images[0, 0], data.test.images[0] / 255, atol=1e-5, rtol=0)
