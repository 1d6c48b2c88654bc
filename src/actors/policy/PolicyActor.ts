/**
 * The policy of a node: loads the file, follows its changes, answers the services.
 *
 * Owns what is in force. Told by the file system that something changed, and by a person to look (`reload`); tells the log
 * and the node's events. A file that is wrong, half-written or gone changes nothing: the policy before stays in force, and
 * what is wrong is told until it is mended. Only `reload` takes a file that is gone for no policy.
 */
import { Clock, Deferred, Effect, Exit, FileSystem, Schedule, type Scope, Semaphore, Stream } from "effect"
import * as Provided from "../../core/actor/Provided.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type { Policy } from "../../protocol/policy/Policy.ts"
import type { AuditSettings } from "../../protocol/policy/PolicyDocument.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { Trail } from "../audit/AuditTrail.ts"
import { Decisions } from "./Decisions.ts"
import * as PolicySource from "./PolicySource.ts"
import { PolicyProblem } from "./PolicyText.ts"
import { type Knowledge, type Known, Subjects } from "./Subjects.ts"

/** What a policy is made for. */
export interface Options {
  /** The state directory. */
  readonly home: string
  readonly knowledge: Knowledge
  readonly trail: Trail
  /** Must not wait. */
  readonly report: (event: ProtocolEvent) => void
  /** What was loaded before, so that a node with a wrong file does not start. */
  readonly loaded: PolicySource.Loaded
}

/** What is in force. */
export interface Status {
  readonly path: string
  /** Counts the policies since the start: another number is another policy. */
  readonly revision: number
  /** Of what is in force; undefined without a file. */
  readonly text: string | undefined
  readonly policy: Policy
  readonly loadedAtMs: number
  /** Why the file as it is now is not in force. */
  readonly problem: PolicyProblem | undefined
}

/** The policy at work. */
export interface Running {
  readonly guard: Decisions
  readonly status: () => Status
  readonly settings: () => AuditSettings
  readonly subject: (node: NodeId) => Known
  /** Looks at the file now; fails if it stays as it was because the file is wrong. */
  readonly reload: Effect.Effect<Status, PolicyProblem>
  /** Waits until another policy than that one is in force. */
  readonly changed: (revision: number) => Effect.Effect<Status>
}

/** Follows the file in the surrounding scope. */
export const start = Effect.fn("PolicyActor.start")(function* (
  options: Options
): Effect.fn.Return<Running, never, FileSystem.FileSystem | Scope.Scope> {
  const clock = yield* Clock.Clock
  const services = yield* Provided.services<FileSystem.FileSystem>()
  const path = PolicySource.pathOf(options.home)
  const nowMs = () => clock.currentTimeMillisUnsafe()
  const subjects = new Subjects(options.knowledge, options.loaded.policy)
  const subject = (node: NodeId) => subjects.of(node)
  const guard = new Decisions({ nowMs, subject, trail: options.trail })
  const turn = yield* Semaphore.make(1)
  let status: Status = { path, revision: 0, ...options.loaded, loadedAtMs: nowMs(), problem: undefined }
  let next = Deferred.makeUnsafe<void>()

  const enforce = (loaded: PolicySource.Loaded) =>
    Effect.gen(function* () {
      const isNew = status.revision === 0 || loaded.text !== status.text
      status = { ...status, problem: undefined }
      if (!isNew) return
      status = { ...status, ...loaded, revision: status.revision + 1, loadedAtMs: nowMs() }
      subjects.follow(loaded.policy)
      guard.follow(loaded.policy)
      const rules = loaded.policy.rules.length
      if (status.revision > 1 || loaded.text !== undefined) {
        options.report({ _tag: "PolicyLoaded", rules })
        options.trail.record({ kind: "policy.loaded", facts: { rules, revision: status.revision } })
      }
      const before = next
      next = Deferred.makeUnsafe<void>()
      yield* Deferred.succeed(before, undefined)
    })
  const refuse = (problem: PolicyProblem) =>
    Effect.sync(() => {
      const isNew = status.problem?.message !== problem.message
      status = { ...status, problem }
      if (!isNew) return
      const { column, detail, line } = problem
      options.report({ _tag: "PolicyRefused", line, column, detail })
      options.trail.record({ kind: "policy.refused", facts: { line, column, detail } })
    })
  const look = (isAsked: boolean): Effect.Effect<void, PolicyProblem> =>
    Effect.gen(function* () {
      const loaded = yield* PolicySource.load(path)
      const isGone = loaded.text === undefined && status.text !== undefined
      if (isGone && !isAsked) return yield* Effect.fail(gone(path))
      yield* enforce(loaded)
    }).pipe(Effect.tapError(refuse), Effect.provideContext(services), turn.withPermit)

  yield* enforce(options.loaded)
  yield* Effect.forkScoped(follow(options.home, Effect.ignore(look(false))).pipe(Effect.provideContext(services)))
  const changed: Running["changed"] = (revision) =>
    Effect.suspend(() =>
      status.revision === revision ? Effect.andThen(Deferred.await(next), changed(revision)) : Effect.succeed(status)
    )
  return {
    guard,
    status: () => status,
    settings: () => status.policy.audit,
    subject,
    reload: Effect.andThen(
      look(true),
      Effect.sync(() => status)
    ),
    changed
  }
})

const gone = (path: string): PolicyProblem =>
  new PolicyProblem({ line: 1, column: 1, detail: `${path} is gone; pilotctl policy reload takes it for no policy` })

/**
 * Looks when the directory has changed and was then quiet for a moment; where it cannot be watched, once in a while. And when
 * the watch begins, since nobody tells of what was written since the file was first read.
 */
const follow = (home: string, look: Effect.Effect<void>) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => {
    const watched = Deferred.makeUnsafe<void>()
    return files.watch(home, { onReady: () => Deferred.doneUnsafe(watched, Exit.void) }).pipe(
      Stream.filter((event) => event.path.endsWith(FILE)),
      Stream.merge(Stream.fromEffect(Deferred.await(watched))),
      Stream.debounce(QUIET_MS),
      Stream.runForEach(() => look),
      Effect.catch(() => Effect.void),
      // It ends only if it cannot go on.
      Effect.andThen(Effect.repeat(look, Schedule.spaced(POLL_MS)))
    )
  })

const FILE = "policy.jsonc"
/** Somebody who writes a file in parts does so faster. */
const QUIET_MS = 200
const POLL_MS = 30_000
