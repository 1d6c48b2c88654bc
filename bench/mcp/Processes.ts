/** The processes of a bridge, and what the kernel says of each: Linux only, `NaN` elsewhere. */
import { readdirSync, readFileSync } from "node:fs"
import { Effect, Schema } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import type * as Network from "../Network.ts"

/** Of all threads of a process: on a processor, ready and waiting for one, and how often it was given one. */
export const Spent = Schema.Struct({ runningUs: Schema.Finite, waitingUs: Schema.Finite, turns: Schema.Finite })
/** What a process spent. */
export type Spent = typeof Spent.Type

/** The nodes and the keeper, by name. */
export const ofBridge = Effect.fnUntraced(function* ({ client, server }: Network.Network) {
  return {
    "the client's node": yield* pidOf(client.path, "daemon", "status"),
    "the server's node": yield* pidOf(server.path, "daemon", "status"),
    keeper: yield* pidOf(server.path, "mcp", "status")
  }
})

/** Of what a command says is running. */
export const pidOf = (home: string, ...words: ReadonlyArray<string>) =>
  Effect.map(Effect.flatMap(Pilotctl.run(home, ...words), decodePid), ({ pid }) => pid)

/** Since their starts. */
export const spentOf = (pids: Readonly<Record<string, number>>): Readonly<Record<string, Spent>> =>
  Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, spent(pid)]))

/** What was spent between two looks. */
export const since = (
  before: Readonly<Record<string, Spent>>,
  after: Readonly<Record<string, Spent>>
): Readonly<Record<string, Spent>> =>
  Object.fromEntries(Object.entries(after).map(([name, now]) => [name, minus(now, before[name] ?? now)]))

const spent = (pid: number): Spent => {
  try {
    const threads = readdirSync(`/proc/${pid}/task`).map((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").trim().split(" ").map(Number)
    )
    const [runningNs = 0, waitingNs = 0, turns = 0] = [0, 1, 2].map((column) =>
      threads.reduce((sum, fields) => sum + (fields[column] ?? 0), 0)
    )
    return { runningUs: runningNs / 1000, waitingUs: waitingNs / 1000, turns }
  } catch {
    return { runningUs: Number.NaN, waitingUs: Number.NaN, turns: Number.NaN }
  }
}

const minus = (one: Spent, other: Spent): Spent => ({
  runningUs: one.runningUs - other.runningUs,
  waitingUs: one.waitingUs - other.waitingUs,
  turns: one.turns - other.turns
})

const decodePid = Schema.decodeUnknownEffect(Schema.Struct({ pid: Schema.Number }))
