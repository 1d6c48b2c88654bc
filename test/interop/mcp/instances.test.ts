import { assert, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import { Mcp, Pilot } from "../../../src/api/index.ts"
import * as McpOverPilot from "../../support/McpOverPilot.ts"
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
        const words = (...args: ReadonlyArray<string>) =>
          PilotProcesses.pilotctl(agent.home, ["--json", "mcp", ...args, "one/say", "two/say"])
        const listed = yield* words("tools")
        assert.include(listed.stdout, '"name":"pid"', listed.stderr)
        const status = JSON.parse((yield* words("status")).stdout).data
        assert.isTrue(status.healthy)
        assert.deepStrictEqual(
          status.instances.map(({ keeper, target, verdict }: Record<string, unknown>) => [target, verdict, keeper]),
          ["one", "two"].map((peer) => [`${peer}/say`, "healthy", { breaker: "closed", retry_in_ms: 0 }])
        )
        const endpoint = yield* PilotProcesses.watch(
          process.execPath,
          [Pilotctl.PROGRAM, "mcp", "mount", "one/say", "two/say", "--http", "127.0.0.1:0", "--no-token"],
          Pilotctl.environment(agent.home)
        )
        yield* endpoint.printed("no token is needed")
        const [, url = ""] = /at (http:\S+)/.exec(endpoint.output()) ?? []
        const http = yield* McpOverPilot.sdk1Http(url, "")
        const ofHttp = Effect.map(http.call("pid", {}), Number)
        yield* Effect.gen(function* () {
          const server = yield* Mcp.connect(["one/say", "two/say"])
          const pid = Effect.map(server.call("pid"), ({ text }) => Number(text))
          const first = yield* pid
          const used = PilotProcesses.living(one.home).includes(first) ? one : two
          const before = yield* ofHttp
          assert.include([...PilotProcesses.living(one.home), ...PilotProcesses.living(two.home)], before)
          yield* PilotProcesses.killAll(used.home)

          const second = yield* Effect.retry(pid, { schedule: Schedule.spaced("500 millis") })
          assert.notStrictEqual(second, first)
          const other = used === one ? two : one
          assert.include(PilotProcesses.living(other.home), second)
          const after = yield* Effect.retry(ofHttp, { schedule: Schedule.spaced("500 millis") })
          assert.include(PilotProcesses.living(other.home), after)
          const mounts = JSON.parse(
            (yield* PilotProcesses.pilotctl(agent.home, ["--json", "mcp", "status", "--probe"])).stdout
          )
          assert.deepInclude(mounts.data.mounts[0].sessions[0], { target: `${other.name}/say`, verdict: "healthy" })
          const away = mounts.data.mounts[0].instances.filter((instance: Record<string, unknown>) => instance["away"])
          assert.deepStrictEqual(
            away.map(({ target }: Record<string, unknown>) => target),
            [`${used.name}/say`]
          )
        }).pipe(Effect.scoped, Effect.provide(Pilot.layerDaemon({ home: agent.home })))
      })
    ),
  120_000
)
