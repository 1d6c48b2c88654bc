import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as McpOverPilot from "../../support/McpOverPilot.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const EVERYTHING = new URL(
  "../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js",
  import.meta.url
).pathname
const STEPS = 12

/** Waits until the host's keeper works on so many calls. */
const working = (host: string, calls: number) =>
  PilotProcesses.until(
    Effect.map(Pilotctl.run(host, "mcp", "status"), (status) =>
      Schema.decodeUnknownSync(Status)(status).sessions.some(({ in_flight }) => in_flight >= calls)
    )
  )
const Status = Schema.Struct({ sessions: Schema.Array(Schema.Struct({ in_flight: Schema.Number })) })

/** `kill -9` of a daemon, and the start of another with the same state. */
const replaced = Effect.fnUntraced(function* (network: PilotNetwork.PilotNetwork, daemon: PilotNetwork.Daemon) {
  yield* PilotProcesses.killNow(daemon.pid)
  return yield* PilotNetwork.startDaemon(network, daemon.name)
})

describe("calls of official clients while nodes are killed (mcp §6.1)", () => {
  it.live(
    "kill -9 of the caller's node, then of the host's, during long and short calls: every answer comes, once",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const [agent, host] = yield* PilotNetwork.startPair(network, "agent", "mcp-host")
        yield* Pilotctl.run(
          ...([host.home, "mcp", "expose", "everything", "--allow", "agent"] as const),
          ...["--", process.execPath, EVERYTHING]
        )
        const first = yield* McpOverPilot.sdk1(agent.home, "mcp-host/everything")
        const second = yield* McpOverPilot.sdk2(agent.home, "mcp-host/everything")
        const clients = [first, second]

        for (const killed of [agent, host]) {
          const steps = clients.map(() => [] as number[])
          const long = yield* Effect.forkChild(
            Effect.forEach(
              clients,
              ({ call }, index) =>
                call("trigger-long-running-operation", { duration: 6, steps: STEPS }, (step) =>
                  steps[index]?.push(step)
                ),
              { concurrency: "unbounded" }
            )
          )
          yield* working(host.home, 1)
          const short = yield* Effect.forkChild(
            Effect.forEach(
              Array.from({ length: 40 }, (_, index) => index),
              (index) =>
                Effect.delay(
                  (index % 2 === 0 ? first : second).call("get-sum", { a: index, b: 1000 }),
                  `${index * 100} millis`
                ),
              { concurrency: "unbounded" }
            )
          )
          yield* replaced(network, killed)

          assert.deepStrictEqual(
            yield* Fiber.join(short),
            Array.from({ length: 40 }, (_, index) => `The sum of ${index} and 1000 is ${index + 1000}.`)
          )
          for (const answer of yield* Fiber.join(long)) assert.include(answer, `Duration: 6 seconds, Steps: ${STEPS}`)
          // Each step once and in order; our own signs of life lie between them by a millionth.
          for (const seen of steps) {
            const whole = seen.filter(Number.isInteger)
            // An SDK client that reads the last step and the answer at once settles the answer first (mcp §3.2).
            assert.isAtLeast(whole.length, STEPS - 1)
            assert.deepStrictEqual(
              whole,
              Array.from(whole, (_, index) => index + 1)
            )
          }
        }
      }).pipe(Effect.scoped),
    120_000
  )
})
