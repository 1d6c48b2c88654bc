import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as Clients from "./Clients.ts"
import * as Stage from "./Stage.ts"
import * as Table from "./Table.ts"

const installed = (name: string) => Stage.file(`../../../node_modules/@modelcontextprotocol/${name}/dist/index.js`)
const tool = (name: string, args: Readonly<Record<string, unknown>> = {}): Clients.Question => ({
  method: "tools/call",
  params: { name, arguments: args }
})
const list = (...methods: ReadonlyArray<string>): ReadonlyArray<Clients.Question> =>
  methods.map((method) => ({ method }))

/** A real server, a directory of its own, and what it is asked. */
interface Subject {
  readonly name: string
  readonly args: (directory: string) => ReadonlyArray<string>
  readonly env: (directory: string) => Readonly<Record<string, string>>
  readonly questions: (directory: string) => ReadonlyArray<Clients.Question>
}

const SUBJECTS: ReadonlyArray<Subject> = [
  {
    name: "server-everything",
    args: () => [installed("server-everything"), "stdio"],
    env: () => ({}),
    questions: () => [
      ...list("tools/list", "prompts/list", "resources/list", "resources/templates/list", "ping"),
      tool("echo", { message: "zwölf 𝒳 \u2028 ok" }),
      tool("get-sum", { a: 2, b: 40 }),
      tool("get-structured-content", { location: "Chicago" }),
      tool("get-annotated-message", { messageType: "error", includeImage: true }),
      tool("get-resource-links", { count: 3 }),
      tool("get-tiny-image"),
      tool("trigger-long-running-operation", { duration: 0.2, steps: 2 }),
      tool("get-sum", { a: "no number" }),
      tool("no-such-tool"),
      { method: "prompts/get", params: { name: "simple-prompt" } },
      { method: "prompts/get", params: { name: "no-such-prompt" } },
      { method: "resources/read", params: { uri: "demo://resource/static/document/architecture.md" } },
      { method: "resources/read", params: { uri: "demo://nothing" } },
      {
        method: "completion/complete",
        params: {
          ref: { type: "ref/prompt", name: "completable-prompt" },
          argument: { name: "department", value: "E" }
        }
      },
      { method: "no/such/method" }
    ]
  },
  {
    name: "server-filesystem",
    args: (directory) => [installed("server-filesystem"), directory],
    env: () => ({}),
    questions: (directory) => [
      ...list("tools/list"),
      tool("list_allowed_directories"),
      tool("list_directory", { path: directory }),
      tool("read_text_file", { path: join(directory, "a.txt") }),
      tool("read_text_file", { path: "/etc/passwd" }),
      tool("read_multiple_files", { paths: [join(directory, "a.txt"), join(directory, "missing")] }),
      tool("read_media_file", { path: join(directory, "b.png") }),
      tool("directory_tree", { path: directory }),
      tool("search_files", { path: directory, pattern: "**/*.txt" }),
      tool("write_file", { path: join(directory, "new.txt"), content: "written\n".repeat(1000) }),
      tool("edit_file", { path: join(directory, "new.txt"), edits: [{ oldText: "nothing", newText: "x" }] }),
      tool("move_file", { source: join(directory, "new.txt"), destination: join(directory, "moved.txt") }),
      tool("list_directory", { path: directory })
    ]
  },
  {
    name: "server-memory",
    args: () => [installed("server-memory")],
    env: (directory) => ({ MEMORY_FILE_PATH: join(directory, "memory.json") }),
    questions: () => [
      ...list("tools/list"),
      tool("create_entities", { entities: [{ name: "SACK", entityType: "option", observations: ["RFC 2018"] }] }),
      tool("add_observations", { observations: [{ entityName: "SACK", contents: ["selective"] }] }),
      tool("add_observations", { observations: [{ entityName: "nobody", contents: ["x"] }] }),
      tool("create_relations", { relations: [{ from: "SACK", to: "TCP", relationType: "extends" }] }),
      tool("search_nodes", { query: "select" }),
      tool("open_nodes", { names: ["SACK"] }),
      tool("read_graph")
    ]
  }
]

const CLIENTS: Readonly<Record<string, Clients.Client>> = {
  "SDK 1.32": Clients.sdk1,
  "SDK 2.4": Clients.sdk2,
  "inspector 2.12": Clients.inspector
}
/** What the inspector's command line can ask. */
const BY_INSPECTOR = new Set(["tools/list", "tools/call", "prompts/list", "resources/list", "resources/read"])

/** The same directory for both, filled the same way at the same path, so that answers may name it. */
const filled = (directory: string) => {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(join(directory, "sub"), { recursive: true })
  writeFileSync(join(directory, "a.txt"), "first\nsecond\n")
  writeFileSync(join(directory, "sub", "c.txt"), "third\n")
  cpSync(Stage.file("../../../docs/figures/window-and-rtt.svg"), join(directory, "b.png"))
}

/** Asks the server directly, then through mount, both nodes and keeper, each from a fresh start. */
const compare = Effect.fnUntraced(function* (subject: Subject, clientName: string, client: Clients.Client) {
  const { agent } = yield* Stage.Stage
  const directory = mkdtempSync(join(tmpdir(), "differential-"))
  yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true, force: true })))
  const args = subject.args(directory)
  const env = subject.env(directory)
  const all = subject.questions(directory)
  // A process for each question is slow: the inspector asks the first of each method.
  const questions =
    client === Clients.inspector
      ? all.filter(
          ({ method }, index) => BY_INSPECTOR.has(method) && all.findIndex((other) => other.method === method) === index
        )
      : all
  filled(directory)
  const direct = yield* client({ args, env }, questions)
  filled(directory)
  const flags = Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`])
  yield* Stage.expose(subject.name, [...flags, "--", process.execPath, ...args])
  const mount = { args: [Pilotctl.PROGRAM, ...Stage.mountCommand(subject.name)], env: Pilotctl.environment(agent) }
  const bridged = yield* client(mount, questions)

  assert.deepStrictEqual(bridged, direct, `${subject.name}, ${clientName}`)
  assert.isTrue(direct.some((answer) => answer.startsWith("{") || answer.startsWith("exit 0")))
  return [subject.name, clientName, String(questions.length), "none"]
}, Effect.scoped)

describe("official servers and clients, directly and through the bridge", () => {
  layer(Stage.layer, { timeout: 120_000, excludeTestServices: true })((it) => {
    it.effect(
      "say the same",
      () =>
        Effect.gen(function* () {
          const rows = yield* Effect.forEach(SUBJECTS, (subject) =>
            Effect.forEach(Object.entries(CLIENTS), ([name, client]) => compare(subject, name, client))
          )
          Table.check("differential", ["server", "client", "questions", "answers that differ"], rows.flat())
        }),
      300_000
    )
  })
})
