/** `pilotctl mcp pins`: the tools that peers' servers listed, which of them changed, and what a person decides (mcp §6.9). */
import { Effect } from "effect"
import * as PinTable from "../../actors/mcp/mount/PinTable.ts"
import * as FileLock from "../../core/storage/FileLock.ts"
import * as PlainText from "../../protocol/mcp/PlainText.ts"
import * as CliError from "../CliError.ts"
import { type Environment, type Output, output } from "../Command.ts"
import * as KeeperPlaces from "./KeeperPlaces.ts"

/** What to do with the pins of `PEER/SERVICE`, or of one tool of it. */
export type Action = "list" | "diff" | "approve" | "forget"

/** Shows or changes pins. */
export const run = Effect.fnUntraced(function* (
  action: Action,
  target: string | undefined,
  tool: string | undefined
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const { pins: path } = yield* KeeperPlaces.places
  const all = yield* Effect.mapError(PinTable.load(path), unusable)
  const meant = all.filter(
    (pin) =>
      (target === undefined || `${pin.peer}/${pin.service}` === target) && (tool === undefined || pin.tool === tool)
  )
  if (target !== undefined && meant.length === 0) {
    return yield* CliError.make("not_found", `no pins of ${[target, tool].join(" ").trim()}`, "pilotctl mcp pins")
  }
  const touched =
    action === "list" || action === "forget" ? meant : meant.filter(({ changed }) => changed !== undefined)
  if (action === "approve" || action === "forget") {
    const decided = new Map(touched.map((pin) => [keyOf(pin), pin.changed?.sha256]))
    // What changed once more since it was shown is not what the person decided about.
    const isMeant = (pin: PinTable.Pin) => decided.has(keyOf(pin)) && decided.get(keyOf(pin)) === pin.changed?.sha256
    yield* PinTable.update(path, (now) =>
      now.flatMap((pin) => (isMeant(pin) ? (action === "forget" ? [] : [approved(pin)]) : [pin]))
    ).pipe(
      Effect.provide(FileLock.layer),
      Effect.mapError((error) => unusable(error._tag === "LockError" ? { path, message: error.detail } : error))
    )
  }
  const lines = touched.map((pin) => (action === "diff" ? difference(pin) : line(action, pin)))
  return output({ pins: touched.map(row) }, lines.join("\n") || "nothing has changed")
})

const keyOf = ({ peerKey, service, tool }: PinTable.Pin): string => JSON.stringify([peerKey, service, tool])

const approved = ({ changed, ...pin }: PinTable.Pin): PinTable.Pin =>
  changed === undefined ? pin : { ...pin, approved: changed }

const row = (pin: PinTable.Pin) => ({
  peer: pin.peer,
  public_key: pin.peerKey,
  service: pin.service,
  tool: pin.tool,
  sha256: pin.approved?.sha256 ?? null,
  definition: pin.approved?.text ?? null,
  changed_sha256: pin.changed?.sha256 ?? null,
  changed_definition: pin.changed?.text ?? null
})

const line = (action: Action, pin: PinTable.Pin): string => {
  const state =
    action === "list" ? (pin.changed === undefined ? "" : "CHANGED") : action === "approve" ? "approved" : "forgotten"
  const hash = (action === "approve" ? pin.changed : pin.approved)?.sha256.slice(0, 16) ?? "-"
  return `${pin.peer}/${pin.service}  ${PlainText.line(pin.tool)}  ${hash}  ${state}`.trimEnd()
}

const difference = (pin: PinTable.Pin): string =>
  [
    `${pin.peer}/${pin.service}  ${PlainText.line(pin.tool)}`,
    `- ${visible(pin.approved?.text)}`,
    `+ ${visible(pin.changed?.text)}`
  ].join("\n")

/** Characters that cannot be seen are shown by their numbers: they may be all that differs. */
const visible = (text: string | undefined): string =>
  text === undefined ? "(nothing approved)" : text === "" ? "(too long to keep)" : PlainText.escaped(text)

const unusable = (error: { readonly message: string; readonly path: string }): CliError.CliError =>
  CliError.make("internal", `${error.path}: ${error.message}`)
