/** The research agent at work: three nodes, four programs, and what each of them says. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { Events, Tasks } from "effect-pilot"
import * as Stage from "../demo/Stage.ts"
import { fact, step } from "../demo/Stage.ts"
import { COMPLETED, Completed, Research } from "./Research.ts"

/** What it shows. */
export const SHOWS =
  "a task comes in; a database, a peer's MCP server and a language model do it; a result and an event go out"

/** Played from the beginning to the end; everything that it starts is stopped. */
export const play = Effect.gen(function* () {
  yield* step("a rendezvous and three nodes start: editor asks, researcher does it, scout lends its way to the web")
  const stage = yield* Stage.make("effect-pilot-research-")
  const [editor, researcher, scout] = yield* Effect.all(
    [Stage.node(stage, "editor"), Stage.node(stage, "researcher"), Stage.node(stage, "scout")],
    { concurrency: 3 }
  )
  yield* Stage.trust(researcher, scout, "pages for my research")
  yield* Stage.trust(editor, researcher, "questions for you")
  yield* fact("trust", "editor – researcher – scout; editor and scout do not know each other")

  yield* step("scout exposes an MCP server with the tool `fetch` to whom it trusts")
  yield* Stage.stopping(scout, "mcp", "stop")
  yield* Stage.program(scout, program("scout"), [], "fetch is exposed")

  yield* step(
    "researcher serves tasks of the kind `research`; its papers are in a SQLite database behind an MCP server of its own"
  )
  const database = `${stage.directory}/papers.db`
  yield* fillDatabase(database, yield* page)
  yield* Stage.program(researcher, program("researcher"), [database], "research is served")

  yield* step("editor listens to researcher's events, and asks")
  yield* Stage.inside(editor, ask("SACK"))
  yield* step("editor asks for what nobody has written about")
  yield* Stage.inside(editor, askInVain("pigeons"))
  yield* step("done: stopping everything that was started")
}).pipe(Effect.scoped)

const ask = Effect.fnUntraced(function* (topic: string) {
  const listens = yield* Deferred.make<void>()
  const heard = yield* Events.watch(COMPLETED, { from: "researcher" }).pipe(
    Stream.tap(({ _tag }) => (_tag === "Joined" ? Deferred.succeed(listens, undefined) : Effect.void)),
    Stream.filter((update) => update._tag === "Event"),
    Stream.take(1),
    Stream.mapEffect(Events.decode(Completed)),
    Stream.runForEach((said) => fact(`event ${COMPLETED}`, JSON.stringify(said))),
    Effect.forkChild
  )
  yield* Deferred.await(listens)
  const job = yield* Tasks.submit(Research, { topic }, { to: "researcher", deadline: "2 minutes" })
  yield* fact("task", `${job.id}: what is known of ${topic}?`)
  yield* Stream.runForEach(job.progress, (said) => fact("progress", said))
  const { papers, summary } = yield* job.result
  yield* fact("result", `from ${papers} papers: ${summary}`)
  yield* Fiber.join(heard)
})

const askInVain = (topic: string) =>
  Tasks.call(Research, { topic }, { to: "researcher", deadline: "2 minutes" }).pipe(
    Effect.flatMap(({ summary }) => fact("result", summary)),
    Effect.catchTag("TaskFailed", ({ _tag, detail }) => fact(_tag, detail))
  )

const program = (name: string): string => fileURLToPath(new URL(`${name}.ts`, import.meta.url))

/** A page of this machine, as of the web. */
const page = Effect.map(
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((_, response) => void response.end(PAGE))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  ),
  (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/rfc6675`
)

const fillDatabase = (path: string, url: string) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new DatabaseSync(path)),
    (papers) =>
      Effect.sync(() => {
        papers.exec("create table papers (title text, topic text, year integer, url text)")
        const add = papers.prepare("insert into papers values (?, ?, ?, ?)")
        for (const [title, topic, year] of PAPERS) add.run(title, topic, year, url)
      }),
    (papers) => Effect.sync(() => papers.close())
  )

const PAPERS = [
  ["TCP Selective Acknowledgment Options", "SACK", 1996],
  ["An Extension to the Selective Acknowledgement Option", "SACK", 2000],
  ["A Conservative Loss Recovery Algorithm Based on SACK", "SACK", 2012],
  ["The Addition of Explicit Congestion Notification to IP", "ECN", 2001]
] as const

const PAGE = [
  "A receiver that says which segments have arrived lets its sender repeat only those that have not.",
  "Without that, one lost segment costs a round trip each."
].join("\n")
