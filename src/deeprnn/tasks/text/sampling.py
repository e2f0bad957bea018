"""Text written by a network, a character at a time."""

from collections.abc import Iterator

import torch
from torch import Tensor

from deeprnn.deep import DeepRNN
from deeprnn.state import DeepState
from deeprnn.tasks.text.fits import check_fits
from deeprnn.tasks.text.vocabulary import BOUNDARY, Vocabulary


def sample(
    net: DeepRNN,
    vocabulary: Vocabulary,
    prompt: str = "",
    *,
    length: int = 500,
    temperature: float = 1.0,
    seed: int | None = None,
) -> str:
    """Text that continues a prompt, which stands at the beginning of a document.

    Neither a boundary nor the unknown symbol is ever drawn.

    Args:
        prompt: what the network reads first; "" lets it begin the document.
        length: how many symbols are drawn: characters, or bytes where the vocabulary is one of bytes.
        temperature: what the logits are divided by: below 1 the likely becomes likelier; 0 always takes the
            likeliest.
        seed: for the same text again; None for another one each time.

    Returns:
        The drawn text, without the prompt.

    Raises:
        ValueError: the network does not fit the vocabulary; a length or temperature is negative; the network's
            output is not finite.
    """
    return "".join(sample_pieces(net, vocabulary, prompt, length=length, temperature=temperature, seed=seed))


def sample_pieces(
    net: DeepRNN,
    vocabulary: Vocabulary,
    prompt: str = "",
    *,
    length: int = 500,
    temperature: float = 1.0,
    seed: int | None = None,
) -> Iterator[str]:
    """`sample`, each piece of text as soon as it is drawn; the arguments and errors are the same."""
    check_fits(net, vocabulary)
    if length < 0 or not 0 <= temperature < float("inf"):
        raise ValueError(f"`length` and `temperature` must be 0 or more, got {length} and {temperature}.")
    random = torch.Generator(net.device)
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed)
    never = torch.tensor([BOUNDARY] if vocabulary.unknown is None else [BOUNDARY, vocabulary.unknown])
    decoder = vocabulary.decoder()
    state: DeepState | None = None
    read = torch.tensor([[BOUNDARY, *vocabulary.encode(prompt).tolist()]], device=net.device).t()
    was_training = net.training
    net.eval()
    try:
        for _ in range(length):
            with torch.inference_mode():  # left before each yield: the caller's own computations are not meant
                result = net(read, state)
                state = result.state
                assert result.output is not None
                read = _draw(result.output[-1, 0].double(), never, temperature, random).view(1, 1)
            yield decoder([int(read)], False)
        yield decoder([], True)
    finally:
        net.train(was_training)


def _draw(logits: Tensor, never: Tensor, temperature: float, random: torch.Generator) -> Tensor:
    if not torch.isfinite(logits).all():
        raise ValueError("the network's output is not finite: its training diverged, or its weights are damaged.")
    logits[never] = -torch.inf
    if temperature == 0:
        return logits.argmax()
    # The largest goes to 0 first: at a tiny temperature nothing overflows.
    return torch.multinomial(torch.softmax((logits - logits.max()) / temperature, dim=0), 1, generator=random)[0]
