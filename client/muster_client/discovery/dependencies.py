"""Frameworks of agents in files that name dependencies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from . import texts
from .findings import FRAMEWORK, Finding, printable

# The name of a distribution, as its registry has it, and what it is called.
PYTHON = {
    "langchain": "LangChain",
    "langgraph": "LangGraph",
    "crewai": "CrewAI",
    "autogen-agentchat": "AutoGen",
    "pyautogen": "AutoGen",
    "ag2": "AG2",
    "openai-agents": "OpenAI Agents SDK",
    "claude-agent-sdk": "Claude Agent SDK",
    "claude-code-sdk": "Claude Agent SDK",
    "google-adk": "Google ADK",
    "pydantic-ai": "Pydantic AI",
    "pydantic-ai-slim": "Pydantic AI",
    "llama-index": "LlamaIndex",
    "llama-index-core": "LlamaIndex",
    "semantic-kernel": "Semantic Kernel",
    "smolagents": "smolagents",
    "strands-agents": "Strands Agents",
    "haystack-ai": "Haystack",
    "agno": "Agno",
    "dspy": "DSPy",
    "mcp": "MCP",
    "fastmcp": "FastMCP",
}
NODE = {
    "langchain": "LangChain",
    "@langchain/core": "LangChain",
    "@langchain/langgraph": "LangGraph",
    "@openai/agents": "OpenAI Agents SDK",
    "@anthropic-ai/claude-agent-sdk": "Claude Agent SDK",
    "@anthropic-ai/claude-code": "Claude Code",
    "@google/adk": "Google ADK",
    "@mastra/core": "Mastra",
    "ai": "AI SDK",
    "llamaindex": "LlamaIndex",
    "@modelcontextprotocol/sdk": "MCP",
}
GO = {
    "github.com/tmc/langchaingo": "LangChainGo",
    "github.com/cloudwego/eino": "Eino",
    "google.golang.org/adk": "Google ADK",
    "github.com/modelcontextprotocol/go-sdk": "MCP",
    "github.com/mark3labs/mcp-go": "MCP",
    "github.com/firebase/genkit/go": "Genkit",
}
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_RUNS = re.compile(r"[-_.]+")
_GO_MODULE = re.compile(r"^[ \t]*+(?:require[ \t]+)?([\w./~-]++)[ \t]+v\d", re.MULTILINE)


def reader_of(path: str) -> Callable[[str, bytes], Iterator[Finding]] | None:
    """What reads the file at this path, if it names dependencies."""
    name = PurePosixPath(path).name
    if fnmatchcase(name, "requirements*.txt") or fnmatchcase(name, "requirements*.in"):
        return _requirements
    return {
        "pyproject.toml": _pyproject,
        "Pipfile": _pipfile,
        "package.json": _package,
        "go.mod": _go,
    }.get(name)


def _found(path: str, wanted: Iterable[str], known: Mapping[str, str]) -> Iterator[Finding]:
    """One finding for each framework, with the packages of it that are named."""
    packages: dict[str, list[str]] = {}
    for package in dict.fromkeys(wanted):
        if called := known.get(package):
            packages.setdefault(called, []).append(package)
    for called, of in packages.items():
        yield Finding(FRAMEWORK, called, printable(path, 500), {"packages": of})


def _named(requirement: Any) -> str:
    """The normalised name (PEP 503) in a requirement (PEP 508); "" for what is none."""
    found = _REQUIREMENT.match(requirement) if isinstance(requirement, str) else None
    return _RUNS.sub("-", found[1]).lower() if found else ""


def _requirements(path: str, raw: bytes) -> Iterator[Finding]:
    yield from _found(path, map(_named, texts.text_of(raw).splitlines()), PYTHON)


def _lists(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else ()


def _keys(value: Any) -> Iterator[str]:
    yield from (str(name) for name in value) if isinstance(value, Mapping) else ()


def _values(value: Any) -> Iterator[Any]:
    yield from value.values() if isinstance(value, Mapping) else ()


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _pyproject(path: str, raw: bytes) -> Iterator[Finding]:
    """What the project table (PEP 621), groups (PEP 735) and Poetry name."""
    whole = texts.toml_of(raw)
    listed = [*_lists(_at(whole, "project", "dependencies"))]
    for groups in (_at(whole, "project", "optional-dependencies"), whole.get("dependency-groups")):
        listed += [each for group in _values(groups) for each in _lists(group)]
    poetry = _at(whole, "tool", "poetry")
    listed += _keys(_at(poetry, "dependencies"))
    for group in _values(_at(poetry, "group")):
        listed += _keys(_at(group, "dependencies"))
    yield from _found(path, map(_named, listed), PYTHON)


def _pipfile(path: str, raw: bytes) -> Iterator[Finding]:
    whole = texts.toml_of(raw)
    listed = [*_keys(whole.get("packages")), *_keys(whole.get("dev-packages"))]
    yield from _found(path, map(_named, listed), PYTHON)


def _package(path: str, raw: bytes) -> Iterator[Finding]:
    whole = texts.json_of(raw)
    groups = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
    listed = [name for group in groups for name in _keys(_at(whole, group))]
    yield from _found(path, listed, NODE)


def _go(path: str, raw: bytes) -> Iterator[Finding]:
    yield from _found(path, _GO_MODULE.findall(texts.text_of(raw)), GO)
