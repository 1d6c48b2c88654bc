import { assert, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import { Mcp, Pilot } from "../../../src/api/index.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const FIXTURE = new URL("FixtureServer.ts", import.meta.url).pathname

it.live(
  "two hosts expose one service: when all processes of the one in use are killed, calls go on at the other",
  () =>
    Effect.scoped(
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const [agent, one] = yield* PilotNetwork.startPair(network, "agent", "one")
        const two = yield* PilotNetwork.startDaemon(network, "two")
        yield* PilotNetwork.trust(agent, two)
        for (const { home } of [one, two]) {
          yield* Pilotctl.run(home, "mcp", "expose", "say", "--allow", "agent", "--", process.execPath, FIXTURE)
        }
        yield* Effect.gen(function* () {
          const server = yield* Mcp.connect(["one/say", "two/say"])
          const pid = Effect.map(server.call("pid"), ({ text }) => Number(text))
          const first = yield* pid
          const used = PilotProcesses.living(one.home).includes(first) ? one : two
          yield* PilotProcesses.killAll(used.home)

          const second = yield* Effect.retry(pid, { schedule: Schedule.spaced("500 millis") })
          assert.notStrictEqual(second, first)
          const other = used === one ? two : one
          assert.include(PilotProcesses.living(other.home), second)
        }).pipe(Effect.scoped, Effect.provide(Pilot.layerDaemon({ home: agent.home })))
      })
    ),
  120_000
)
