"""Files of trained tensors in fewer bits."""

import pytest
import torch
from safetensors.torch import save

from spacy_ragre.training.tensors import check_precision, read_tensors, shrink


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(64, 32, generator=generator)
    matrix[3] = 0
    # As a low-rank adapter has them: each column of its own size.
    wide = torch.randn(8, 512, generator=generator) * torch.logspace(-4, 0, 8).unsqueeze(1)
    large = torch.full((2048,), 1e6)
    whole = torch.arange(2000)
    return {"matrix": matrix, "wide": wide, "bias": matrix[0] / 3, "large": large, "whole": whole}


@pytest.mark.parametrize("precision, share, error", [("half", 0.51, 1e-3), ("int8", 0.3, 5e-3)])
def test_fewer_bits(tensors, precision, share, error):
    data = save({name: tensors[name] for name in ("matrix", "wide")}, metadata={"base": '{"a": 1}'})
    small = shrink(data, precision)
    assert len(small) < share * len(data) + 400
    read = read_tensors(small)
    for name, tensor in read.items():
        assert tensor.dtype == torch.float32 and tensor.shape == tensors[name].shape
    for row, own in zip(read["wide"], tensors["wide"]):
        assert (row - own).abs().max() <= error * own.abs().max()
    assert b'"base":"{\\"a\\": 1}"' in small[: 8 + int.from_bytes(small[:8], "little")]


@pytest.mark.parametrize("precision", ["half", "int8"])
def test_what_would_be_lost_stays(tensors, precision):
    read = read_tensors(shrink(save(tensors), precision))
    assert set(read) == set(tensors)
    for name in ("bias", "large", "whole"):
        assert torch.equal(read[name], tensors[name]) and read[name].dtype == tensors[name].dtype
    assert not read["matrix"][3].any()


def test_twice_is_once(tensors):
    once = shrink(save(tensors), "int8")
    twice = read_tensors(shrink(once, "int8"))
    for name, tensor in read_tensors(once).items():
        assert torch.allclose(tensor.float(), twice[name].float(), rtol=1e-5)


def test_other_precisions():
    with pytest.raises(ValueError, match=r"R651.*'float8'.*'half' or 'int8'"):
        check_precision("float8")
