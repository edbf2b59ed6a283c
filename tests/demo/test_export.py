"""From the network that is trained to the file that is run: nothing changes on the way."""

import numpy as np
import pytest

import kimi_cpu
from kimi_cpu.config import config_from_hf
from kimi_cpu.modelfile import ModelFile
from kimi_cpu.quant import rows16

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from tools.train_demo import documents, fake_quant, muon, recipe  # noqa: E402
from tools.train_demo.export import export, packed  # noqa: E402
from tools.train_demo.network import Network  # noqa: E402


@pytest.fixture(scope="module")
def network():
    """A network with random weights, as BF16 holds those that are not experts."""
    torch.manual_seed(0)
    net = Network(config_from_hf(recipe.CONFIG)[0]).eval()
    with torch.no_grad():
        for moe in net.moe_layers():
            moe.e_score_correction_bias.normal_(0, 0.1)
        for p in net.parameters():
            if p.ndim < 3:
                p.copy_(p.bfloat16().float())
    return net


def test_the_engine_computes_what_the_trained_network_does(network, tokenizer_directory, tmp_path):
    checkpoint = export(network, tokenizer_directory, tmp_path / "checkpoint")
    kimi_cpu.convert(checkpoint, tmp_path / "demo.gguf", dense="bf16")
    ids = np.random.default_rng(0).integers(0, recipe.CONFIG["vocab_size"], 90)
    with torch.no_grad():  # two documents in one batch: neither sees the other
        batch = torch.from_numpy(np.concatenate((ids[:40], ids[50:90])))
        where = documents.batch_of([(list(ids[:40]), [True] * 40)] * 2).documents
        expected = (network(batch, where) @ network.lm_head.T).numpy()
    with kimi_cpu.load(tmp_path / "demo.gguf", compute="f32", kv="f32") as llm:
        found = np.concatenate((llm.logits(list(ids[:40])), llm.logits(list(ids[50:90]))))
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
    with ModelFile.open(tmp_path / "demo.gguf") as file:
        assert file.num_weights == sum(value.numel() for value in network.state_dict().values())


def test_packed_experts_hold_the_values_that_training_sees():
    weights = torch.randn(48, 96) * torch.rand(48, 1)
    stored = packed("x", weights)
    words = stored["x.weight_packed"].numpy().view(np.uint32)
    nibbles = ((words[..., None] >> (4 * np.arange(8, dtype=np.uint32))) & 15).reshape(48, 96)
    values = (nibbles.astype(np.float32) - 8) * np.repeat(stored["x.weight_scale"].numpy(), 32, axis=1)
    assert np.array_equal(values, fake_quant.int4_straight_through(weights).numpy())
    bits = stored["x.weight_scale"].bfloat16().view(torch.int16).numpy().view(np.uint16)
    data = rows16.pack_int4(nibbles.astype(np.uint8), bits)
    assert np.array_equal(rows16.unpack(rows16.Matrix("int4", 48, 96, data)), values)


def test_gradients_pass_the_rounding():
    weights = torch.randn(4, 32, requires_grad=True)
    (fake_quant.int4_straight_through(weights) * 3).sum().backward()
    assert torch.equal(weights.grad, torch.full((4, 32), 3.0))


@pytest.mark.parametrize("shape", [(64, 32), (32, 64), (3, 48, 48)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(muon.orthogonalise(torch.randn(shape)))
    assert values.min() > 0.3 and values.max() < 1.3


def test_numbers_are_read_digit_by_digit(tokenizer_directory):
    tokenizer = kimi_cpu.Tokenizer.load(tokenizer_directory)
    assert tokenizer.n_vocab == recipe.CONFIG["vocab_size"]
    assert len(tokenizer.encode("1234567")) == 7
    assert len(tokenizer.encode("once there was a fox")) < 9
    assert tokenizer.decode(tokenizer.encode("Größe ≠ 大小 🦊")) == "Größe ≠ 大小 🦊"


def test_a_batch_predicts_each_counted_token_from_those_before_it():
    document, counted = list(range(1, 41)), [i >= 30 for i in range(40)]
    some = [(document, counted), (document[:35], counted[:35]), (document * 2, counted * 2)]
    first, second = documents.batches([*some, some[0], some[1], some[0]], tokens=90, most=8, longest=64)
    assert first.documents.begins.tolist() == [0, 40, 75, 90, 90, 90, 90, 90, 90, 90]
    assert torch.equal(first.documents.positions[:75], torch.cat((torch.arange(40), torch.arange(35))))
    rows = torch.nonzero(first.targets >= 0).flatten()
    assert len(rows) == 10 + 5
    assert torch.equal(first.targets[rows], first.ids[rows + 1])
    assert torch.equal(first.ids, second.ids)


def test_documents_of_a_batch_are_computed_alone(network):
    ids = np.random.default_rng(1).integers(0, recipe.CONFIG["vocab_size"], 70).tolist()
    alone = [documents.batch_of([(part, [True] * len(part))]) for part in (ids[:30], ids[30:])]
    both = documents.batch_of([(part, [True] * len(part)) for part in (ids[:30], ids[30:])])
    with torch.no_grad():
        expected = torch.cat([network(b.ids, b.documents) for b in alone])
        assert torch.allclose(network(both.ids, both.documents), expected, atol=1e-5)
