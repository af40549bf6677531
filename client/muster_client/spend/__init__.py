"""The spend proxy: agents call language models through it, and never beyond their cap.

An agent calls with its own Muster token. Before a request goes to the provider, with the
provider's key that the proxy alone holds, Muster reserves what it may cost at the most; afterwards
it is settled with what it has cost. See docs/howto/cap-llm-spend.md.
"""
