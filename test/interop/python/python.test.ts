import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

it.live(
  "the module for Python, over the socket and over pilotctl, against two daemons",
  () =>
    Effect.gen(function* () {
      const network = yield* PilotNetwork.make
      const [alice, bob] = yield* PilotNetwork.startPair(network, "alice", "bob")
      // Nobody trusts her.
      yield* PilotNetwork.startDaemon(network, "carol")
      for (const transport of ["socket", "pilotctl"]) {
        const outcome = yield* PilotProcesses.run("python3", ["-B", "-W", "error", file("test_pilot.py")], {
          PATH: process.env["PATH"] ?? "",
          HOME: network.directory,
          PILOT_PY: file("../../../clients/python"),
          ...{ NODE: process.execPath, PILOTCTL_JS: Pilotctl.PROGRAM },
          ...{ ALICE: alice.home, BOB: bob.home, TRANSPORT: transport }
        })
        assert.strictEqual(outcome.exitCode, 0, `${transport}: ${outcome.stderr}`)
        assert.match(outcome.stderr, /\nOK/)
      }
    }).pipe(Effect.scoped),
  180_000
)
