"""Text written by a network, a character at a time."""

import torch
from torch import Tensor

from deeprnn.deep import DeepRNN
from deeprnn.text import BOUNDARY, Vocabulary


def sample(
    net: DeepRNN,
    vocabulary: Vocabulary,
    prompt: str = "",
    *,
    length: int = 500,
    temperature: float = 1.0,
    seed: int | None = None,
) -> str:
    """Text that goes on from a prompt, which stands at the beginning of a document.

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
        ValueError: a negative length or temperature.
    """
    if length < 0 or not 0 <= temperature < float("inf"):
        raise ValueError(f"sample(length={length}, temperature={temperature}): both are 0 or more.")
    random = torch.Generator(net.device)
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed)
    never = torch.tensor([BOUNDARY] if vocabulary.unknown is None else [BOUNDARY, vocabulary.unknown])
    read = torch.tensor([[BOUNDARY, *vocabulary.encode(prompt).tolist()]], device=net.device).t()
    drawn: list[int] = []
    was_training = net.training
    net.eval()
    try:
        with torch.inference_mode():
            state = None
            while len(drawn) < length:
                result = net(read, state)
                state = result.state
                assert result.output is not None
                read = _draw(result.output[-1, 0].double(), never, temperature, random).view(1, 1)
                drawn.append(int(read))
    finally:
        net.train(was_training)
    return vocabulary.decode(drawn)


def _draw(logits: Tensor, never: Tensor, temperature: float, random: torch.Generator) -> Tensor:
    logits[never] = -torch.inf
    if temperature == 0:
        return logits.argmax()
    # The largest goes to 0 first: at a tiny temperature nothing overflows.
    return torch.multinomial(torch.softmax((logits - logits.max()) / temperature, dim=0), 1, generator=random)[0]
