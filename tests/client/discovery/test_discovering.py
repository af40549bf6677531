"""What is found in a folder and in a repository, and what never leaves them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from client.muster_client.discovery import git, keys, texts, walking
from client.muster_client.discovery.command import command
from client.muster_client.discovery.findings import Finding
from client.muster_client.discovery.scanning import scan

SECRET = "sk-ant-" + "a1B2" * 8


def put(root: Path, files: dict[str, Any]) -> Path:
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        place.write_text(text, encoding="utf-8")
    return root


def found(root: Path) -> list[tuple[str, str, str]]:
    return [(each.kind, each.name, each.path) for each in scan(root, source="a").findings]


def detail(root: Path, kind: str, name: str) -> dict[str, Any]:
    told = scan(root, source="a").findings
    return dict(next(each.detail for each in told if (each.kind, each.name) == (kind, name)))


# The shapes of three public repositories' configurations, with names of our own:
# 0xJacky/nginx-ui (.cursor/mcp.json, tabs and all), 0GiS0/backstage-github-copilot-sdk-demo
# (.vscode/mcp.json with `servers` and a reference in a header), 0Cymantek0/ai-ext
# (.codex/config.toml with a table for each agent); and besides them crewAIInc/crewAI-examples
# (config/agents.yaml, folded texts) and langchain-ai/open_deep_research (langgraph.json).


def test_the_shape_of_a_cursor_configuration(tmp_path: Path) -> None:
    text = (
        '{\n\t"mcpServers": {\n\t\t"lint": {\n\t\t\t"command": "npx",\n\t\t\t"args": ["x@latest"],'
    )
    text += '\n\t\t\t"env": {}\n\t\t},\n\t\t"docs": {\n      "command": "npx"\n    }\n\t}\n}'
    root = put(tmp_path, {".cursor/mcp.json": text})

    assert found(root) == [("mcp", "Cursor in the root", ".cursor/mcp.json")]
    assert detail(root, "mcp", "Cursor in the root") == {
        "client": "Cursor",
        "servers": ["lint", "docs"],
        "remote": [],
        "variables": [],
    }


def test_the_shape_of_a_vs_code_configuration(tmp_path: Path) -> None:
    server = {
        "url": "http://localhost:7007/api/mcp/v1",
        "type": "http",
        "headers": {"Authorization": "Bearer ${env:CATALOGUE_TOKEN}"},
    }
    root = put(tmp_path, {"portal/.vscode/mcp.json": {"servers": {"catalogue": server}}})

    told = detail(root, "mcp", "VS Code in portal")

    assert (told["servers"], told["remote"]) == (["catalogue"], ["catalogue"])
    assert "CATALOGUE_TOKEN" not in json.dumps(told)


def test_the_shape_of_a_codex_configuration_with_agents(tmp_path: Path) -> None:
    text = (
        "# managed\n[features]\ncodex_hooks = true\n\n"
        '[agents.desk-planner]\ndescription = "Plans."\nconfig_file = "C:/x/desk-planner.toml"\n\n'
        '[agents.desk-checker]\ndescription = "Checks."\n\n[[hooks]]\nevent = "SessionStart"\n'
        '[mcp_servers.tickets]\ncommand = "npx"\nenv = { TICKETS_KEY = "x" }\n'
    )
    root = put(tmp_path, {".codex/config.toml": text})

    assert found(root) == [
        ("mcp", "Codex in the root", ".codex/config.toml"),
        ("agent", "desk-planner", ".codex/config.toml"),
        ("agent", "desk-checker", ".codex/config.toml"),
    ]
    assert detail(root, "mcp", "Codex in the root")["variables"] == ["TICKETS_KEY"]


def test_the_shapes_of_crewai_and_langgraph(tmp_path: Path) -> None:
    crew = (
        "claims_analyst:\n  role: >\n    The Claims Analyst\n  goal: >\n    Look at claims\n"
        "  backstory: >\n    Many years of it.\n\ntasks:\n  description: no agent\n"
    )
    graph = {
        "dockerfile_lines": [],
        "graphs": {"research": "./src/graph.py:graph", "many": "./src/many.py:graph"},
        "env": "./.env",
        "dependencies": ["."],
    }
    root = put(tmp_path, {"src/desk/config/agents.yaml": crew, "langgraph.json": graph})

    assert found(root) == [
        ("agent", "research", "langgraph.json"),
        ("agent", "many", "langgraph.json"),
        ("agent", "claims_analyst", "src/desk/config/agents.yaml"),
    ]
    assert detail(root, "agent", "claims_analyst")["role"] == "The Claims Analyst"


def test_a_prepared_folder_tells_everything_in_it_once(tmp_path: Path) -> None:
    team = {
        "provider": "autogen_agentchat.teams.RoundRobinGroupChat",
        "component_type": "team",
        "config": {
            "participants": [
                {
                    "provider": "autogen_agentchat.agents.AssistantAgent",
                    "component_type": "agent",
                    "config": {"name": "writer"},
                }
            ]
        },
    }
    root = put(
        tmp_path,
        {
            ".mcp.json": '{\n // ours\n "mcpServers": {"crm": {"command": "x",}, /* no */ },\n}',
            "claude_desktop_config.json": {"mcpServers": {"files": {"command": "npx"}}},
            ".claude.json": {"projects": {"/home/x": {"mcpServers": {"db": {"url": "http://x"}}}}},
            ".claude/settings.json": {"permissions": {"allow": ["Bash(*)"]}},
            ".claude/agents/reviewer.md": "---\nname: reviewer\ndescription: Use it when: now\n"
            "tools: Read, Bash\nmodel: opus\n---\nYou review.\n",
            "flows/team.json": team,
            "OAI_CONFIG_LIST": [{"model": "gpt-4", "api_key": SECRET}],
            "requirements-dev.txt": "# x\n-r a.txt\nLangGraph>=1 ; python_version > '3'\nflask\n",
            "pyproject.toml": '[project]\ndependencies = ["openai_agents[voice]>=0.2"]\n'
            '[dependency-groups]\ndev = ["crewai", {include-group = "x"}]\n'
            '[tool.poetry.dependencies]\npydantic-ai = "*"\n',
            "web/package.json": {"dependencies": {"@langchain/langgraph": "1"}, "name": "x"},
            "svc/go.mod": "module x\n\nrequire (\n\tgithub.com/mark3labs/mcp-go v0.9.0\n)\n",
            ".env": f"# keys\nexport ANTHROPIC_API_KEY='{SECRET}'\nDEBUG=true\nOPENAI_API_KEY=\n",
            "node_modules/x/.mcp.json": {"mcpServers": {"not": {"command": "ours"}}},
            "src/app.py": "import langchain",
        },
    )

    assert sorted(found(root)) == [
        ("agent", "Claude Code in the root", ".claude/settings.json"),
        ("agent", "reviewer", ".claude/agents/reviewer.md"),
        ("agent", "writer", "flows/team.json"),
        ("framework", "AutoGen", "OAI_CONFIG_LIST"),
        ("framework", "CrewAI", "pyproject.toml"),
        ("framework", "LangGraph", "requirements-dev.txt"),
        ("framework", "LangGraph", "web/package.json"),
        ("framework", "MCP", "svc/go.mod"),
        ("framework", "OpenAI Agents SDK", "pyproject.toml"),
        ("framework", "Pydantic AI", "pyproject.toml"),
        ("key", "ANTHROPIC_API_KEY", ".env"),
        ("mcp", "Claude Code in /home/x", ".claude.json: /home/x"),
        ("mcp", "Claude Code in the root", ".mcp.json"),
        ("mcp", "Claude Desktop in the root", "claude_desktop_config.json"),
    ]
    assert detail(root, "agent", "reviewer")["tools"] == ["Read", "Bash"]
    told = CliRunner().invoke(command, [str(root), "--json"])
    assert SECRET not in told.output
    assert SECRET[7:] not in told.output


# Keys


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"K={SECRET}", "Anthropic"),
        (f"K='{SECRET}'", "Anthropic"),
        (f'export K="{SECRET}" # ours', "Anthropic"),
        ("K=sk-proj-0123456789", "OpenAI"),
        ("K=AKIAIOSFODNN7ABCDEFG", "AWS"),
        ("DB_PASSWORD=hunter2hunter2", "unknown"),
        ("K=hunter2hunter2", ""),
        ("API_KEY=your-key-here", ""),
        ("API_KEY=${OTHER}", ""),
        ("API_KEY=vault://pay/desk", ""),
        ("API_KEY=short", ""),
        ("# API_KEY=0123456789abcdef", ""),
    ],
)
def test_of_a_key_its_kind_is_told_by_how_it_begins(line: str, kind: str) -> None:
    told = [each.detail["for"] for each in keys.keys_in(".env", line.encode(), b"salt")]

    assert told == ([kind] if kind else [])


def test_the_same_key_has_one_digest_under_one_salt_and_another_under_another(
    tmp_path: Path,
) -> None:
    root = put(tmp_path, {".env": f"A_KEY={SECRET}\n", "b/.env.local": f"B_KEY={SECRET}\n"})

    def digests(salt: bytes) -> set[str]:
        return {each.detail["digest"] for each in scan(root, source="a", salt=salt).findings}

    assert len(digests(b"one")) == 1
    assert digests(b"one") == digests(b"one") != digests(b"two")
    assert digests(b"") != digests(b"")


# Hostile folders


def test_no_link_leads_out_and_nothing_waits_at_a_pipe(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", {".env": f"A_KEY={SECRET}", ".mcp.json": "{}"})
    root = put(tmp_path / "root", {"a.txt": "x"})
    (root / ".env").symlink_to(outside / ".env")
    (root / "below").symlink_to(outside, target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    os.mkfifo(root / ".mcp.json")

    told = scan(root, source="a")

    assert (told.findings, told.told) == ((), ())


def test_sizes_depths_and_numbers_have_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = put(tmp_path, {".mcp.json": "[" * 100_000, "z/.env": f"A_KEY={SECRET}"})
    put(root, {"big/.env": "x" * (walking.MOST_BYTES + 1)})
    put(root, {"config/agents.yaml": "a: &a [x]\nb: *a\n", "deep/config/agents.yaml": "[" * 9000})

    told = scan(root, source="a")

    assert [each.path for each in told.findings] == ["z/.env"]
    assert told.told == (
        ".mcp.json was not read: it is no JSON.",
        "big/.env is larger than 512 KiB and was not read.",
        "config/agents.yaml was not read: it refers to itself.",
        "deep/config/agents.yaml was not read: it is too deep or too long.",
    )
    assert scan(root, source="a", most=1).told[-1] == "Only the first 1 files were looked at."
    monkeypatch.setattr(walking, "MOST_DEPTH", 0)
    assert [each.path for each in scan(root, source="a").findings] == []


def test_hostile_names_reach_no_terminal(tmp_path: Path) -> None:
    name = "\x1b]0;owned\x07[red]x"
    root = put(tmp_path, {"a\x1b[2J/.mcp.json": {"mcpServers": {name: {"command": "x"}}}})

    told = CliRunner().invoke(command, [str(root)])

    assert told.exit_code == 0
    assert "\x1b" not in told.output
    assert "\x07" not in told.output
    assert "1 found." in told.output


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": "// no comment", }', {"a": "// no comment"}),
        (b'{"a": 1, // one\n}', {"a": 1}),
        (b'{"a": "\\"/*", /* x */ "b": [1,]}', {"a": '"/*', "b": [1]}),
        (b"\xef\xbb\xbf{}", {}),
    ],
)
def test_json_with_comments_is_read(raw: bytes, value: object) -> None:
    assert texts.json_of(raw) == value


# Repositories


def made(root: Path, files: dict[str, Any], *, link: str = "") -> str:
    """A bare repository with one commit."""
    work = put(root / "work", files)
    if link:
        (work / ".env").symlink_to(link)
    run = ["git", "-C", str(work), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "One"]):
        subprocess.run([*run, *words], check=True, capture_output=True)
    bare = root / "app.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    return str(bare)


def test_a_repository_is_looked_through_by_path_and_by_address(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", {"env": f"A_KEY={SECRET}"})
    files = {"langgraph.json": {"graphs": {"desk": "x:y"}}, "a/.env": f"B_KEY={SECRET}"}
    bare = made(tmp_path, files, link=str(outside / "env"))

    for place in (bare, f"file://{bare}"):
        told = CliRunner().invoke(command, [place, "--json"])
        answer = json.loads(told.output)

        assert [(each["kind"], each["name"]) for each in answer["findings"]] == [
            *(("agent", "desk"), ("key", "B_KEY")),
        ]
        assert SECRET not in told.output
        assert answer["source"].endswith("app")


def test_what_cannot_be_fetched_is_said_without_the_address(tmp_path: Path) -> None:
    told = CliRunner().invoke(command, [f"file://user:{SECRET}@localhost{tmp_path}/nothing"])

    assert told.exit_code == 3
    assert SECRET not in told.output
    assert "The repository could not be fetched: git ended with 128." in told.output


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("https://user:secret@git.example/acme/app.git?x=1", "git.example/acme/app"),
        ("git@git.example:acme/app.git", "git.example/acme/app"),
        ("ssh://git@git.example:2222/acme/app", "git.example:2222/acme/app"),
    ],
)
def test_a_repository_is_named_without_what_is_secret(place: str, source: str) -> None:
    assert git.is_repository(place)
    assert git.source_of(place) == source


@pytest.mark.parametrize("place", ["ext::sh -c true", "--upload-pack=touch x", "nothing/here"])
def test_what_is_neither_folder_nor_repository_is_refused(place: str) -> None:
    told = CliRunner().invoke(command, ["--", place])

    assert told.exit_code == 2
    assert "is neither a folder nor a repository." in told.output


# The command


def test_a_pipeline_can_end_where_something_is_found(tmp_path: Path) -> None:
    empty = CliRunner().invoke(command, [str(tmp_path), "--fail"])
    put(tmp_path, {"langgraph.json": {"graphs": {"desk": "x:y"}}})
    full = CliRunner().invoke(command, [str(tmp_path), "--fail"])

    assert (empty.exit_code, full.exit_code) == (0, 1)
    assert "Nothing was found." in empty.output


def test_a_fingerprint_is_the_same_tomorrow_and_another_elsewhere() -> None:
    one = Finding("agent", "desk", "a/b", {"x": 1})

    assert one.fingerprint("app") == Finding("agent", "desk", "a/b").fingerprint("app")
    others = [Finding("key", "desk", "a/b"), Finding("agent", "b", "a/desk")]
    assert one.fingerprint("app") not in {each.fingerprint("app") for each in others}
    assert one.fingerprint("app") != one.fingerprint("other")


def test_a_report_without_credentials_is_refused_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_URL", "https://muster.example")
    for name in ("TOKEN", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"MUSTER_{name}", raising=False)

    told = CliRunner().invoke(command, [str(tmp_path), "--report"])

    assert told.exit_code == 3
    assert "Nothing was reported: Say token, or client_id and client_secret." in told.output


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".mcp.json", "/*" * 200_000),
        (".mcp.json", '"' + '\\"' * 200_000),
        (".env", "A=b" + " " * 400_000 + "c"),
        ("go.mod", "\n" * 400_000),
        (".codex/config.toml", "a." * 200_000 + "a = 1"),
    ],
)
def test_a_file_that_was_made_to_be_read_for_hours_is_read_at_once(
    tmp_path: Path, name: str, text: str
) -> None:
    root, begun = put(tmp_path, {name: text}), time.monotonic()

    assert found(root) == []
    assert time.monotonic() - begun < 10
