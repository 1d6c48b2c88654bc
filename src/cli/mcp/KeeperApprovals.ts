/** The questions of a keeper process to its owner: kept decisions, what commands ask and say about them, and the record of that. */
import { Effect, FileSystem, Path } from "effect"
import type { Audit } from "../../actors/mcp/CallLedger.ts"
import type * as KeeperControl from "../../actors/mcp/KeeperControl.ts"
import * as ApprovalFile from "../../actors/mcp/keeper/ApprovalFile.ts"
import * as Approvals from "../../actors/mcp/keeper/Approvals.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { JsonFileError } from "../../core/storage/JsonFile.ts"
import * as PlainText from "../../protocol/mcp/PlainText.ts"
import * as CliError from "../CliError.ts"

/** What commands may ask about them. */
export type Request = Extract<KeeperControl.Request, { readonly op: "approvals" | "decide" | "revoke" }>

/** Questions and kept decisions. */
export interface KeeperApprovals {
  readonly approvals: Approvals.Approvals
  readonly perform: (request: Request) => Effect.Effect<void, CliError.CliError>
  /** Those that wait and those that are kept; of the question with that id, the parameters too. */
  readonly state: (id: string | undefined) => KeeperControl.Approvals
  /** A sentence for the owner, if anything waits. */
  readonly problems: () => ReadonlyArray<string>
}

/** Reads what was decided before; a file that cannot be read is left alone, and nothing starts. */
export const make = Effect.fnUntraced(function* (options: {
  readonly path: string
  readonly randomBytes: (count: number) => Uint8Array
  readonly audit: Audit
}): Effect.fn.Return<KeeperApprovals, JsonFileError, FileSystem.FileSystem | Path.Path> {
  const { audit, path, randomBytes } = options
  const files = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const approvals = yield* Approvals.make({
    remembered: yield* ApprovalFile.load(path),
    save: (remembered) =>
      ApprovalFile.save(path, remembered).pipe(
        Effect.provideService(FileSystem.FileSystem, files),
        Effect.provideService(Path.Path, paths),
        Effect.mapError((error) => ({ message: `${error.path}: ${error.detail}` }))
      ),
    randomBytes,
    asked: ({ id, peer, service, tool }) =>
      Effect.logInfo(
        `mcp ${service}: a call of ${PlainText.line(tool)} by ${peer} waits to be approved: pilotctl mcp approvals show ${id}`
      )
  })

  /** A decision for good is no call, but changes what later ones may do. */
  const note = (method: string, about: ApprovalFile.Remembered, node: number | undefined) =>
    Effect.sync(() =>
      audit.record({
        ...NO_CALL,
        time: audit.time(),
        node,
        peer: about.peer,
        service: about.service,
        method,
        target: about.tool,
        definitionHash: about.definitionHash,
        decision: about.verdict === "allow" ? "always" : "never",
        approval: about.id
      })
    )

  return {
    approvals,
    perform: (request) =>
      Effect.gen(function* () {
        if (request.op === "approvals") {
          if (request.id !== undefined) yield* approvals.find(request.id)
          return
        }
        if (request.op === "revoke")
          return yield* note("approvals/revoke", yield* approvals.revoke(request.id), undefined)
        const { node } = yield* approvals.decide(request.id, request.verdict)
        const kept = approvals.remembered().find(({ id }) => id === request.id)
        if (kept !== undefined) yield* note("approvals/keep", kept, node)
      }).pipe(Effect.mapError(refused)),
    state: (id) => ({
      waiting: approvals.waiting().map((question) => shown(question, question.id === id)),
      remembered: approvals.remembered()
    }),
    problems: () => {
      const count = approvals.waiting().length
      if (count === 0) return []
      return [`${count === 1 ? "A call waits" : `${count} calls wait`} to be approved: pilotctl mcp approvals`]
    }
  }
})

const NO_CALL = {
  session: "",
  epoch: 0,
  seq: 0,
  id: "null",
  argumentsHash: undefined,
  resultHash: undefined,
  bytesIn: 0,
  bytesOut: 0,
  durationMs: 0,
  outcome: "ok",
  code: undefined,
  traceparent: undefined,
  arguments: undefined
} as const

const shown = (question: Approvals.Waiting, isWhole: boolean): KeeperControl.Question => {
  const { askedAtMs, definitionHash, expiresAtMs, fingerprint, id, node, parameters, peer, service, tool } = question
  return {
    ...{ id, service, node, peer, fingerprint, tool, askedAtMs, expiresAtMs },
    parametersBytes: Bytes.fromUtf8(parameters).length,
    ...(definitionHash === undefined ? {} : { definitionHash }),
    ...(isWhole ? { parameters } : {})
  }
}

const refused = ({ message, reason }: Approvals.NotDecided): CliError.CliError => {
  const text = message.replace(/\.$/, "")
  const isThere = reason !== "NotWaiting" && reason !== "Unknown"
  return CliError.make(isThere ? "invalid_state" : "not_found", text, isThere ? undefined : "pilotctl mcp approvals")
}
