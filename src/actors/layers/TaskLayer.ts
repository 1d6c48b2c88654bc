/** Wires the tasks of a node: their database in the state directory, port 1003 unless the operator wants none, and the scores. */
import { Effect, FiberSet, type FileSystem, type Path, Schedule, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import { Databases } from "../../core/storage/Databases.ts"
import type { TaskRecord } from "../../protocol/task/TaskRecord.ts"
import * as TaskReward from "../../protocol/task/TaskReward.ts"
import type { Address, NodeId } from "../../protocol/wire/Address.ts"
import { Node } from "../node/Node.ts"
import { RegistryClient } from "../registry/RegistryClient.ts"
import * as TaskOffice from "../services/tasks/TaskOffice.ts"
import * as TaskStore from "../services/tasks/TaskStore.ts"
import { TaskError, type Tasks } from "../services/tasks/Tasks.ts"
import type { PeerKeys } from "../trust/PeerKeys.ts"
import { Trust } from "../trust/Trust.ts"
import type { NodeConfig } from "./NodeConfig.ts"
import { NodeError } from "./NodeError.ts"

type Services = Crypto | Databases | FileSystem.FileSystem | Node | Path.Path | PeerKeys | RegistryClient | Trust

/** Starts in the surrounding scope; none if the operator wants none. */
export const start = Effect.fnUntraced(function* (
  config: NodeConfig
): Effect.fn.Return<Tasks["Service"], NodeError, Services | Scope.Scope> {
  if (config.noTasks) return none
  const path = `${config.home}/tasks.db`
  const { openGrouped } = yield* Databases
  const { sql, synced } = yield* Effect.mapError(openGrouped(path), ({ detail }) => unusable(path, detail))
  const store = yield* Effect.provideService(TaskStore.open(synced), SqlClient.SqlClient, sql).pipe(
    Effect.mapError(({ detail }) => unusable(path, detail))
  )
  const scores = yield* makeScores
  return yield* TaskOffice.start({
    home: config.home,
    store,
    gate: config.taskScores ? scores.gate : () => Effect.undefined,
    completed: scores.completed,
    neglected: scores.neglected,
    earn: yield* earning
  }).pipe(
    Effect.mapError((error) => {
      if (error._tag === "PortInUse") return portTaken(error)
      return unusable(path, error.message)
    })
  )
})

/** Polo scores of the registry (node §6.2, §6.5): asked for only if the operator wants it, changed as the reference does. */
const makeScores = Effect.gen(function* () {
  const registry = yield* RegistryClient
  const node = yield* Node
  const run = yield* FiberSet.makeRuntime<never>()
  const add = (who: NodeId, points: number) =>
    Effect.catch(registry.addScore(who, points), ({ detail }) => Effect.logDebug(`tasks: score of ${who}: ${detail}`))
  const gate = Effect.fnUntraced(function* (from: Address) {
    const own = yield* node.address
    const scores = yield* Effect.result(
      Effect.all([registry.score(from.node), registry.score(own.node)], { concurrency: 2 })
    )
    if (scores._tag === "Failure")
      return scores.failure.reason === "Unavailable" ? undefined : "Failed to verify polo score"
    const [submitter, receiver] = scores.success
    return submitter < receiver ? `Polo score too low: submitter=${submitter}, receiver=${receiver}` : undefined
  })
  return {
    gate,
    completed: ({ completedAtMs, createdAtMs, peer, times }: TaskRecord) => {
      const points = TaskReward.points(TaskReward.believed(times, completedAtMs - createdAtMs))
      run(
        Effect.andThen(
          Effect.flatMap(node.address, (own) => add(own.node, -1)),
          add(peer, points)
        )
      )
    },
    neglected: (tasks: ReadonlyArray<TaskRecord>) => {
      run(Effect.flatMap(node.address, (own) => add(own.node, -tasks.length)))
    }
  }
})

/** Asking strangers for trust (security rule 3: before it a stranger's port 1003 is silent). */
const earning = Effect.gen(function* () {
  const trust = yield* Trust
  const failed = Effect.mapError(
    (error: { readonly message: string }) => new TaskError({ reason: "Unreachable", detail: error.message })
  )
  return Effect.fnUntraced(function* (node: NodeId, timeoutMs: number) {
    const asked = yield* failed(trust.request(node, "a task"))
    if (asked === "already_trusted") return true
    const isThere = Effect.map(trust.trusted, (peers) => peers.some((peer) => peer.node === node))
    const looking = Effect.repeat(Effect.andThen(trust.poll, isThere), {
      until: (is) => is,
      schedule: Schedule.spaced(EARN_LOOK)
    })
    return (yield* Effect.timeoutOption(looking, timeoutMs))._tag === "Some"
  })
})

const EARN_LOOK = "1 second"

const off = Effect.fail(new TaskError({ reason: "Stopped", detail: "this node has no tasks (--no-tasks)" }))

/** Of a node that was told to have none. */
const none: Tasks["Service"] = {
  get: () => off,
  list: () => Effect.succeed([]),
  queued: Effect.succeed([]),
  changed: () => off,
  outcome: () => off,
  submit: () => off,
  offer: () => off,
  cancel: () => off,
  ledger: Effect.succeed([]),
  earn: () => off,
  accept: () => off,
  decline: () => off,
  execute: off,
  finish: () => off,
  fail: () => off,
  claim: () => off,
  renew: () => off,
  tell: () => off,
  release: () => off,
  setReady: () => Effect.void,
  status: Effect.succeed({ isReady: false, received: 0, submitted: 0, untoldPeers: 0, malformed: 0, refused: 0 })
}

const unusable = (path: string, detail: string) =>
  new NodeError({
    reason: "StateUnusable",
    detail: `cannot use ${path}: ${detail}`,
    hint: "make room, or restore it from a backup; moving it away forgets all tasks; or start with --no-tasks"
  })

const portTaken = ({ port }: { readonly port: number }) =>
  new NodeError({ reason: "PortInUse", detail: `virtual port ${port} is taken`, hint: "this is a bug: report it" })
