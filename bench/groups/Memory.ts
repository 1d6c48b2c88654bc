/** What a node holds while nothing happens: ten thousand open connections, and a daemon with none. */
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Effect, Schema } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import type { Figure } from "../Figure.ts"
import * as Network from "../Network.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const connections = yield* idleConnections
  const network = yield* Network.make("bench-server")
  yield* network.client.daemon
  // It gives back what its start took once that is over (`cli/LongLived`).
  yield* Effect.sleep("20 seconds")
  const { pid } = yield* Effect.flatMap(Pilotctl.run(network.client.path, "daemon", "status"), decodeStatus)
  return [
    {
      name: `each end of an idle connection, ${CONNECTIONS} of them`,
      unit: "KB",
      ours: connections.bytesPerEnd / 1024,
      bar: { kind: "atMost", value: 10 }
    },
    {
      name: "timers of 10,000 idle connections",
      unit: "",
      ours: connections.sleepsAfter - connections.sleepsBefore,
      bar: { kind: "atMost", value: 0 }
    },
    {
      name: "idle daemon, resident",
      unit: "MB",
      ours: residentBytes(pid) / 2 ** 20,
      bar: { kind: "atMost", value: 90 }
    }
  ] satisfies ReadonlyArray<Figure>
})

/** The program that the tests run too. */
const idleConnections = Effect.gen(function* () {
  const { stdout } = yield* Effect.promise(() =>
    promisify(execFile)(process.execPath, ["--expose-gc", IDLE_CONNECTIONS, String(CONNECTIONS)])
  )
  return yield* decodeReport(stdout)
})

/** Linux only: `NaN` elsewhere. */
export const residentBytes = (pid: number): number => {
  try {
    const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
    return Number(kilobytes) * 1024
  } catch {
    return Number.NaN
  }
}

const decodeStatus = Schema.decodeUnknownEffect(Schema.Struct({ pid: Schema.Number }))
const decodeReport = Schema.decodeEffect(
  Schema.fromJsonString(
    Schema.Struct({ bytesPerEnd: Schema.Number, sleepsBefore: Schema.Number, sleepsAfter: Schema.Number })
  )
)

/** Memory while idle. */
export const group: Group = {
  name: "memory",
  about: "ten thousand idle connections, and a daemon that does nothing",
  seconds: 60,
  run: measure
}

const IDLE_CONNECTIONS = fileURLToPath(new URL("../../test/support/IdleConnections.ts", import.meta.url))
const CONNECTIONS = 10_000
