/**
 * Exclusive use of a directory, by one process at a time and once within it. `FileLock` takes the operating system's
 * lock; the simulator has its own.
 */
import { Context, type Effect, Schema, type Scope } from "effect"

/** `Held`: by a live process, whose id is `holder` if it could be read. That process is not disturbed. */
export class LockError extends Schema.TaggedError<LockError>()("LockError", {
  reason: Schema.Literals(["Held", "NotPermitted", "NotFound", "Other"]),
  directory: Schema.String,
  holder: Schema.optionalKey(Schema.Finite),
  detail: Schema.String
}) {}

/** Takes the lock of an existing directory until the scope ends, or fails at once. */
export class DirectoryLock extends Context.Service<
  DirectoryLock,
  { readonly acquire: (directory: string) => Effect.Effect<void, LockError, Scope.Scope> }
>()("effect-pilot/core/storage/DirectoryLock") {}
