/**
 * The names that articles about Pilot use for a program beside a daemon (cli §13), as aliases of what this library does: for code that is
 * carried over. Programs that begin here use `Pilot`, `Tasks` and `Events`.
 */
import { Context, Effect, Layer, Schema, type Scope, Stream } from "effect"
import type { DialError } from "../actors/node/Node.ts"
import * as Bytes from "../core/data/Bytes.ts"
import * as Json from "../core/data/Json.ts"
import * as NodeLocalSocket from "../core/net/NodeLocalSocket.ts"
import { TaskRecord } from "../protocol/task/TaskRecord.ts"
import type { Connection } from "./Connection.ts"
import * as Daemon from "./Daemon.ts"
import * as Events from "./Events.ts"
import * as Pilot from "./Pilot.ts"
import { TaskError, Tasks } from "./TasksService.ts"

/** A task that was accepted. */
export interface Task {
  readonly id: string
  /** `0:0000.0000.0001` */
  readonly from: string
  readonly description: string
  /** The member `params` of a description that is a JSON object, or that object; else nothing. */
  readonly params: Json.JsonObject
}

/** An event as articles have it. */
export interface Event {
  readonly Topic: string
  readonly Data: Uint8Array
}

/** An open socket of a daemon. */
export interface Driver {
  /** `Dial("name", 1001)` or `Dial("name:1001")`, also by address. */
  readonly Dial: (target: string, port?: number) => Effect.Effect<Connection, DialError | Pilot.PilotError, Scope.Scope>
  /** Tells the registry whether this node takes tasks. */
  readonly SetTaskReady: (isReady: boolean) => Effect.Effect<void, TaskError>
  /** The next new task that is for anybody, accepted; waits for it however long that takes. */
  readonly AcceptTask: () => Effect.Effect<Task, TaskError>
  /** One after the other, each accepted when it is asked for. */
  readonly AcceptTasks: () => Stream.Stream<Task, TaskError>
  /** Finishes an accepted task. */
  readonly SendTaskResults: (id: string, results: Uint8Array | string) => Effect.Effect<void, TaskError>
  /** The same. */
  readonly SendResults: Driver["SendTaskResults"]
  /** On this node's own broker. */
  readonly Publish: (topic: string, data: Uint8Array | string) => Effect.Effect<void, Events.EventsError>
  /** What is published here and at trusted peers from now on. */
  readonly Subscribe: (pattern: string) => Stream.Stream<Event, Events.EventsError>
}

/** Opens the socket at that path, or where `pilotctl` looks; its end is that of the scope. */
export const Connect = Effect.fn("Driver.Connect")(function* (
  path = ""
): Effect.fn.Return<Driver, Pilot.PilotError, Scope.Scope> {
  const options: Daemon.Options = path === "" ? {} : { socket: path }
  const services = yield* Layer.build(Pilot.layerDaemon(options))
  const open = yield* Effect.provide(Daemon.client(options), NodeLocalSocket.layer)
  yield* Effect.scoped(open)
  const ask = <A>(question: (client: Effect.Success<typeof open>) => Effect.Effect<A, { readonly message: string }>) =>
    Effect.scoped(Effect.flatMap(open, question)).pipe(
      Effect.mapError(({ message }) => new TaskError({ reason: "Unreachable", detail: message }))
    )
  const accept: Effect.Effect<TaskRecord | undefined, TaskError> = Effect.gen(function* () {
    const reply = yield* ask((client) => client.extension("task.accept", { wait_ms: WAIT_MS, kind: "" }))
    const refused = Json.string(reply, "refused")
    if (refused === "NotFound") return undefined
    const found = yield* Effect.option(Schema.decodeUnknownEffect(TaskRecord)(Json.member(reply, "task")))
    return found._tag === "Some"
      ? found.value
      : yield* new TaskError({
          reason: "Unreachable",
          detail: Json.string(reply, "detail") || "no task was understood"
        })
  })
  const next = accept.pipe(
    Effect.repeat({ while: (task) => task === undefined }),
    Effect.map((task) => taskOf(task!))
  )
  const finish: Driver["SendTaskResults"] = (id, results) => {
    const text = typeof results === "string" ? results : Bytes.toUtf8(results)
    return text === undefined
      ? Effect.fail(new TaskError({ reason: "Invalid", detail: "these bytes are no text" }))
      : Effect.asVoid(Context.get(services, Tasks).finish(id, { _tag: "Text", text }))
  }
  return {
    Dial: (target, port) => {
      const named = /^(.+):([0-9]{1,5})$/.exec(target)
      const at = port ?? Number(named?.[2] ?? STDIO_PORT)
      return Context.get(services, Pilot.Pilot).dial(port === undefined && named !== null ? named[1]! : target, at)
    },
    SetTaskReady: (isReady) => Effect.asVoid(ask((client) => client.setTaskExec(isReady))),
    AcceptTask: () => next,
    AcceptTasks: () => Stream.fromEffectRepeat(next),
    SendTaskResults: finish,
    SendResults: finish,
    Publish: (topic, data) => Effect.asVoid(Effect.provideContext(Events.publish(topic, data), services)),
    Subscribe: (pattern) =>
      Events.subscribe(pattern).pipe(
        Stream.map(({ data, topic }) => ({ Topic: topic, Data: data })),
        Stream.provideContext(services)
      )
  }
})

/** Another name of `Connect`. */
export const New = Connect

const taskOf = ({ description, from, id }: TaskRecord): Task => {
  const value = Json.parseObject(description) ?? {}
  const nested = Json.member(value, "params")
  return { id, from, description, params: Json.isObject(nested) ? nested : value }
}

/** Less than a client waits for any answer. */
const WAIT_MS = 20_000
const STDIO_PORT = 1000
