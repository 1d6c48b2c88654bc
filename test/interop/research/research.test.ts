import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { DatabaseSync } from "node:sqlite"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const program = (name: string) => new URL(`../../../examples/research/${name}.ts`, import.meta.url).pathname

const page = Effect.map(
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((_, response) => void response.end("five words on this page"))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  ),
  (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
)

it.live(
  "the research example: a database of this host and a peer's web pages, by name and by what they can do",
  () =>
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      const [researcher, scout] = yield* PilotNetwork.startPair(network, "researcher", "scout")
      const database = `${network.directory}/papers.db`
      const papers = new DatabaseSync(database)
      papers.exec(`create table papers (title text, topic text, year integer);
        insert into papers values ('TCP Options', 'SACK', 1996), ('Forward RTT', 'SACK', 2018), ('Other', 'ECN', 2001)`)
      papers.close()
      const url = yield* page

      yield* Effect.addFinalizer(() => Effect.ignore(Pilotctl.run(scout.home, "mcp", "stop")))
      const serving = yield* PilotProcesses.watch(
        process.execPath,
        [program("scout")],
        Pilotctl.environment(scout.home)
      )
      yield* serving.printed("fetch is exposed")
      const asking = yield* PilotProcesses.watch(
        process.execPath,
        [program("researcher"), "SACK", url, database],
        Pilotctl.environment(researcher.home)
      )

      assert.strictEqual(yield* asking.exited, 0, asking.output())
      assert.include(asking.output(), "scout: asking 127.0.0.1:")
      assert.include(asking.output(), "2 papers on SACK, the newest Forward RTT; 5 words on the page; tools: fetch")
      assert.include(serving.output(), `researcher wants ${url}`)
    }).pipe(Effect.scoped),
  60_000
)
