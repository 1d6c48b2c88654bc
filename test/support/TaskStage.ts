/** Nodes with their tasks, joined in memory and trusting each other; databases and disks outlive the nodes. */
import { Context, Effect, Exit, FileSystem, Latch, Layer, Path, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { type Connection, Node } from "../../src/actors/node/Node.ts"
import * as TaskOffice from "../../src/actors/services/tasks/TaskOffice.ts"
import * as TaskStore from "../../src/actors/services/tasks/TaskStore.ts"
import type { Tasks } from "../../src/actors/services/tasks/Tasks.ts"
import { PeerKeys } from "../../src/actors/trust/PeerKeys.ts"
import * as PeerKeysStore from "../../src/actors/trust/PeerKeysStore.ts"
import { Crypto } from "../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as SqliteClient from "../../src/core/storage/SqliteClient.ts"
import { IN_MEMORY } from "../../src/core/storage/SqliteDatabase.ts"
import type { TaskRecord } from "../../src/protocol/task/TaskRecord.ts"
import type { Limits } from "../../src/protocol/task/TaskTable.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as TaskFrame from "../../src/protocol/wire/TaskFrame.ts"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../src/testing/VirtualFileSystem.ts"
import { type MemoryNode, MemoryNodes } from "./MemoryNodes.ts"

/** One of them. */
export interface Worker {
  readonly node: MemoryNode
  readonly id: Address.NodeId
  readonly files: FileSystem.FileSystem
  readonly tasks: () => Tasks["Service"]
  readonly stop: Effect.Effect<void>
  readonly start: (options?: Partial<TaskOffice.Options>) => Effect.Effect<void>
  /** Whose results and neglect were reported for the scores. */
  readonly completed: Array<TaskRecord>
  readonly neglected: Array<TaskRecord>
  /** Every commit fails while it is set. */
  isDiskFull: boolean
  /** While it is closed the disk works, and no commit is done. */
  readonly disk: Latch.Latch
  /** Commits since the beginning. */
  commits: number
}

/** Where their files are. */
export const HOME = "/home"

/** Nodes 1 to `count`. */
export const make = Effect.fnUntraced(function* (count: number, limits: Partial<Limits> = {}) {
  const nodes = new MemoryNodes()
  const members = Array.from({ length: count }, (_, index) => nodes.add(index + 1, new Uint8Array(32).fill(index + 1)))
  const workers = yield* Effect.forEach(members, (node) => worker(node, members, limits))
  return {
    workers,
    /** A stream to port 1003 of the first from a node that has no tasks of its own: whatever it writes. */
    dial: (id: number): Effect.Effect<Connection, unknown, Scope.Scope> =>
      (members[id - 1] ?? nodes.add(id, new Uint8Array(32).fill(id))).service.dial(Address.make(0, 1), TaskFrame.PORT)
  }
})

const worker = Effect.fnUntraced(function* (
  node: MemoryNode,
  members: ReadonlyArray<MemoryNode>,
  limits: Partial<Limits>
) {
  const outer = yield* Effect.scope
  const sql = yield* SqliteClient.open({ path: IN_MEMORY })
  const files = VirtualFileSystem.make(new MemoryDisk(), () => true)
  const crypto = Context.get(yield* Layer.build(NativeCrypto.layer), Crypto)
  const keys = Context.get(yield* Layer.build(Layer.provide(PeerKeysStore.layerMemory(), NativeCrypto.layer)), PeerKeys)
  const others = members.filter((other) => other !== node)
  yield* Effect.forEach(others, (other) => keys.pinNode(other.id, other.publicKey))
  keys.setTrusted(new Map(others.map((other) => [other.id, other.publicKey])))
  const paths = Context.get(yield* Layer.build(Path.layer), Path.Path)
  let life: { readonly scope: Scope.Closeable; readonly tasks: Tasks["Service"] } | undefined
  const self: Worker = {
    ...{ node, id: node.id, files, completed: [], neglected: [], isDiskFull: false, commits: 0 },
    disk: Latch.makeUnsafe(true),
    tasks: () => life!.tasks,
    stop: Effect.suspend(() => Scope.close(life!.scope, Exit.void)),
    start: Effect.fnUntraced(function* (options: Partial<TaskOffice.Options> = {}) {
      const scope = yield* Scope.fork(outer)
      const opened = yield* Effect.provideService(TaskStore.open(), SqlClient.SqlClient, sql).pipe(Scope.provide(scope))
      const full = new TaskStore.TaskStoreError({ operation: "commit", detail: "no space left on device" })
      const store: TaskStore.TaskStore = {
        ...opened,
        commit: (changes, ledger) => {
          self.commits++
          return self.isDiskFull
            ? Effect.fail(full)
            : Effect.andThen(
                opened.commit(changes, ledger),
                Effect.suspend(() => self.disk.await)
              )
        }
      }
      const tasks = yield* TaskOffice.start({
        home: HOME,
        store,
        limits,
        gate: () => Effect.undefined,
        earn: () => Effect.succeed(false),
        completed: (task) => void self.completed.push(task),
        neglected: (of) => void self.neglected.push(...of),
        ...options
      }).pipe(
        Effect.provideService(Node, node.service),
        Effect.provideService(PeerKeys, keys),
        Effect.provideService(Crypto, crypto),
        Effect.provideService(FileSystem.FileSystem, files),
        Effect.provideService(Path.Path, paths),
        Scope.provide(scope)
      )
      life = { scope, tasks }
    }, Effect.orDie)
  }
  yield* self.start()
  return self
})
