/**
 * Tasks over the local socket (node §6), in operations of ours (`IpcExtension`). A task is the JSON of `TaskRecord`; what could
 * not be done is an answer too: `{ refused, detail }`.
 *
 * | op | takes | answers |
 * |---|---|---|
 * | `task.submit` | `to description kind life_ms priority id`; `others accept_ms`: who could do it as well; `now`: fail if none can be reached | `task` |
 * | `task.ledger` | `after`: how many were seen | `tallies`, and `more` |
 * | `task.earn` | `node timeout_ms`: asks a stranger for trust | `trusted` |
 * | `task.cancel` | `id why` | `task` |
 * | `task.get` | `side id` | `task` |
 * | `task.list` | `side`; `after`: how many were seen | `tasks`, and `more` |
 * | `task.queue` | | `tasks`: accepted and not begun |
 * | `task.changed` | `task`, `timeout_ms` | `task`: when it is at a later revision, or after that time |
 * | `task.accept` | `id`, or `kind` (empty: for anybody) and `wait_ms` | `task` |
 * | `task.progress` | `id progress`: of an accepted task without a lease | `task` |
 * | `task.decline` | `id why` | `task` |
 * | `task.execute` | | `task` |
 * | `task.finish` | `id`, `text`, or `path` and `name` of a file; `attempt` | `task` |
 * | `task.fail` | `id why final attempt` | `task` |
 * | `task.claim` | `kinds worker lease_ms wait_ms` | `task`, or nothing |
 * | `task.renew` | `id attempt lease_ms progress` | `task` |
 * | `task.release` | `worker`; `lost`: it was killed, and is back | |
 * | `task.ready` | `on` | `ready` |
 * | `task.status` | | `ready received submitted untold_peers malformed refused` |
 *
 * Operations that wait hold up the client's later ones, nobody else's.
 */
import { Effect } from "effect"
import * as Json from "../../core/data/Json.ts"
import { PEERS_MAX } from "../../protocol/task/Passing.ts"
import type { Side, TaskRecord } from "../../protocol/task/TaskRecord.ts"
import { LEASE_MAX_MS, LEASE_MIN_MS } from "../../protocol/task/TaskTime.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import type { TaskError, Tasks } from "../services/tasks/Tasks.ts"

type Service = Tasks["Service"]
type Answer = Effect.Effect<Json.JsonObject, TaskError>

/** The answer of an operation; undefined for any other. */
export const perform = (
  tasks: Service | undefined,
  op: string,
  value: Json.JsonObject
): Effect.Effect<Json.JsonObject> | undefined => {
  const operation = tasks === undefined ? undefined : OPERATIONS[op]
  if (tasks === undefined || operation === undefined) return undefined
  return Effect.catch(operation(tasks, value), ({ detail, reason }) => Effect.succeed({ refused: reason, detail }))
}

const one = (task: Effect.Effect<TaskRecord, TaskError>): Answer =>
  Effect.map(task, (record) => ({ task: toJson(record) }))

const OPERATIONS: Readonly<Record<string, (tasks: Service, value: Json.JsonObject) => Answer>> = {
  "task.submit": (tasks, value) => {
    const task = {
      to: NodeId(Json.unsigned(value, "to", 32)),
      description: Json.string(value, "description"),
      kind: Json.string(value, "kind"),
      lifeMs: Math.max(0, Json.integer(value, "life_ms")),
      priority: Json.integer(value, "priority"),
      id: optional(value, "id"),
      others: othersOf(value),
      acceptMs: Math.max(0, Json.integer(value, "accept_ms"))
    }
    return one(Json.boolean(value, "now") ? tasks.offer(task) : tasks.submit(task))
  },
  "task.ledger": (tasks, value) =>
    Effect.map(tasks.ledger, (all) => {
      const after = Math.max(0, Json.integer(value, "after"))
      return {
        tallies: all.slice(after, after + TALLIES_AT_ONCE).map((tally) => ({ ...tally })),
        more: after + TALLIES_AT_ONCE < all.length
      }
    }),
  "task.earn": (tasks, value) =>
    Effect.map(tasks.earn(NodeId(Json.unsigned(value, "node", 32)), waitOf(value, "timeout_ms")), (trusted) => ({
      trusted
    })),
  "task.cancel": (tasks, value) => one(tasks.cancel(Json.string(value, "id"), Json.string(value, "why"))),
  "task.get": (tasks, value) => one(tasks.get(sideOf(value), Json.string(value, "id"))),
  "task.list": (tasks, value) =>
    Effect.map(tasks.list(sideOf(value)), (all) => page(all, Math.max(0, Json.integer(value, "after")))),
  "task.queue": (tasks) => Effect.map(tasks.queued, (all) => page(all, 0)),
  "task.changed": (tasks, value) => {
    const seen = Json.member(value, "task")
    const known = Json.isObject(seen) ? seen : {}
    return one(
      Effect.flatMap(tasks.get(sideOf(known), Json.string(known, "id")), (task) =>
        tasks.changed(
          { ...task, revision: Json.integer(known, "revision"), heard: Json.integer(known, "heard") },
          waitOf(value, "timeout_ms")
        )
      )
    )
  },
  "task.accept": (tasks, value) =>
    one(tasks.accept(optional(value, "id"), waitOf(value, "wait_ms"), Json.string(value, "kind"))),
  "task.progress": (tasks, value) => one(tasks.tell(Json.string(value, "id"), Json.string(value, "progress"))),
  "task.decline": (tasks, value) => one(tasks.decline(Json.string(value, "id"), Json.string(value, "why"))),
  "task.execute": (tasks) => one(tasks.execute),
  "task.fail": (tasks, value) =>
    one(
      tasks.fail(Json.string(value, "id"), {
        why: Json.string(value, "why"),
        isFinal: Json.boolean(value, "final"),
        ...attemptOf(value)
      })
    ),
  "task.finish": (tasks, value) => {
    const path = Json.string(value, "path")
    const outcome =
      path === ""
        ? ({ _tag: "Text", text: Json.string(value, "text") } as const)
        : ({ _tag: "Local", path, name: Json.string(value, "name") } as const)
    return one(tasks.finish(Json.string(value, "id"), outcome, attemptOf(value).attempt))
  },
  "task.claim": (tasks, value) =>
    Effect.map(
      tasks.claim(Json.strings(value, "kinds"), {
        worker: Json.string(value, "worker"),
        leaseMs: leaseOf(value),
        waitMs: waitOf(value, "wait_ms")
      }),
      (task): Json.JsonObject => (task === undefined ? {} : { task: toJson(task) })
    ),
  "task.renew": (tasks, value) =>
    one(
      tasks.renew(Json.string(value, "id"), Json.integer(value, "attempt"), leaseOf(value), optional(value, "progress"))
    ),
  "task.release": (tasks, value) =>
    Effect.as(tasks.release(Json.string(value, "worker"), Json.boolean(value, "lost")), {}),
  "task.ready": (tasks, value) =>
    Effect.as(tasks.setReady(Json.boolean(value, "on")), { ready: Json.boolean(value, "on") }),
  "task.status": (tasks) =>
    Effect.map(tasks.status, ({ isReady, untoldPeers, ...rest }) => ({
      ...rest,
      ready: isReady,
      untold_peers: untoldPeers
    }))
}

/** As many as fit a frame; a task has at most 128 Ki characters, of which each is six bytes at worst. */
const page = (all: ReadonlyArray<TaskRecord>, after: number): Json.JsonObject => {
  const tasks: Array<Json.JsonObject> = []
  let bytes = 0
  for (const task of all.slice(after)) {
    const json = toJson(task)
    bytes += JSON.stringify(json).length * 3
    if (bytes > PAGE_BYTES && tasks.length > 0) break
    tasks.push(json)
  }
  return { tasks, more: after + tasks.length < all.length }
}

const toJson = ({ others, result, times, ...rest }: TaskRecord): Json.JsonObject => ({
  ...rest,
  ...(others && { others: others.map((other) => ({ ...other })) }),
  times: { ...times },
  result: result && { ...result }
})

const sideOf = (value: Json.JsonObject): Side => (Json.string(value, "side") === "submitted" ? "submitted" : "received")

const optional = (value: Json.JsonObject, key: string): string | undefined => Json.string(value, key) || undefined

const othersOf = (value: Json.JsonObject): ReadonlyArray<NodeId> | undefined => {
  const given = Json.member(value, "others")
  return Array.isArray(given)
    ? given
        .slice(0, PEERS_MAX)
        .flatMap((node) =>
          typeof node === "number" && Number.isSafeInteger(node) && node > 0 && node < 2 ** 32 ? [NodeId(node)] : []
        )
    : undefined
}

const attemptOf = (value: Json.JsonObject): { readonly attempt?: number } =>
  typeof Json.member(value, "attempt") === "number" ? { attempt: Json.integer(value, "attempt") } : {}

const waitOf = (value: Json.JsonObject, key: string): number =>
  Math.max(0, Math.min(WAIT_MAX_MS, Json.integer(value, key)))

const leaseOf = (value: Json.JsonObject): number =>
  Math.max(LEASE_MIN_MS, Math.min(LEASE_MAX_MS, Json.integer(value, "lease_ms")))

/** Kinds are at most as long as names. */
const TALLIES_AT_ONCE = 256
const PAGE_BYTES = 700_000
const WAIT_MAX_MS = 30_000
