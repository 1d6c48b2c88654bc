/** Effect's workflow engine over SQLite, for one program on one machine; several share a PostgreSQL (docs/tasks.md). */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Effect, Layer, Schema } from "effect"
import { ClusterWorkflowEngine, SingleRunner } from "effect/cluster"
import { SqlClient } from "effect/sql"
import type { WorkflowEngine } from "effect/workflow"
import * as FileLock from "../../core/storage/FileLock.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import * as SqliteClient from "../../core/storage/SqliteClient.ts"

/** Executions cannot be kept in this directory: another program uses it, or it is not ours to write to. */
export class WorkflowStoreError extends Schema.TaggedError<WorkflowStoreError>()("WorkflowStoreError", {
  directory: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `cannot keep workflows in ${this.directory}: ${this.detail}`
  }
}

/**
 * Keeps executions in `workflows.db` of a directory, which is made if it does not exist and belongs to this program alone while the
 * layer lives. After a restart they go on within a second.
 */
export const layer = (
  directory: string
): Layer.Layer<SqlClient.SqlClient | WorkflowEngine.WorkflowEngine, WorkflowStoreError> => {
  const failed = ({ detail, message }: { readonly message: string; readonly detail?: string }) =>
    new WorkflowStoreError({ directory, detail: detail ?? message })
  const claimed = Effect.andThen(
    Effect.mapError(PrivateDirectory.make(directory), failed),
    Effect.mapError(FileLock.acquire(directory), (error) =>
      error.reason === "Held"
        ? failed({ message: `another program (process ${error.holder ?? "unknown"}) uses it` })
        : failed(error)
    )
  ).pipe(Effect.provide([NodeFileSystem.layer, NodePath.layer]))
  const database = Layer.effect(
    SqlClient.SqlClient,
    Effect.andThen(claimed, Effect.mapError(SqliteClient.open({ path: `${directory}/workflows.db` }), failed))
  )
  // Within one process nobody else has to be looked for.
  const runner = SingleRunner.layer({
    runnerStorage: "memory",
    shardingConfig: { entityMessagePollInterval: "500 millis" }
  })
  return Layer.provide(ClusterWorkflowEngine.layer, Layer.orDie(runner)).pipe(
    Layer.provideMerge(database),
    Layer.provide(NodeCrypto.layer)
  )
}
