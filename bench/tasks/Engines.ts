/** The engines that the workflows of tasks are kept in: SQLite of one program, and a PostgreSQL that syncs its commits. */
import { NodeClusterSocket, NodeCrypto } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option, Redacted, type Scope } from "effect"
import { ClusterWorkflowEngine, RunnerAddress } from "effect/cluster"
import type { SqlClient } from "effect/sql"
import type { WorkflowEngine } from "effect/workflow"
import { Tasks } from "effect-pilot"
import * as PilotProcesses from "../../test/support/PilotProcesses.ts"
import * as Postgres from "../../test/support/Postgres.ts"

/** A database, and how workflows run on it. */
export interface Engine {
  readonly name: string
  readonly flows: Layer.Layer<SqlClient.SqlClient | WorkflowEngine.WorkflowEngine, unknown>
}

/** Below a directory that exists. */
export const sqlite = (directory: string): Engine => ({ name: "SQLite", flows: Tasks.layerWorkflows(directory) })

/** Of Debian's packages; runs until the scope ends. Needs root, because it does not want to be root. */
export const postgres: Effect.Effect<Engine, never, Scope.Scope> = Effect.gen(function* () {
  const directory = yield* PilotProcesses.directory
  const url = `postgres://postgres@127.0.0.1:${yield* Postgres.start(directory, true)}/postgres`
  const runnerAddress = Option.some(RunnerAddress.make("127.0.0.1", yield* PilotProcesses.freePort))
  const shardingConfig = { runnerAddress, shardsPerGroup: 30, entityMessagePollInterval: "500 millis" } as const
  return {
    name: "PostgreSQL",
    flows: ClusterWorkflowEngine.layer.pipe(
      Layer.provide(NodeClusterSocket.layer({ storage: "sql", shardingConfig })),
      Layer.provideMerge(PgClient.layer({ url: Redacted.make(url) })),
      Layer.provide(NodeCrypto.layer)
    )
  }
})
