/** What `inbox`, `received` and the `files` commands print for people (cli §9). Pure. */
import type { Received } from "../../actors/services/Mailbox.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Json from "../../core/data/Json.ts"
import type { Entry } from "../../protocol/wire/ExchangeRequest.ts"
import * as Render from "../Render.ts"

/** `pilotctl inbox`. */
export const inbox = (messages: ReadonlyArray<JsonObject>): string => {
  if (messages.length === 0)
    return 'inbox is empty\n  messages appear here when someone sends: pilotctl send-message <your-hostname> --data "hello"'
  const rows = messages.flatMap((message) => [
    `  [${Json.string(message, "received_at")}] from ${Json.string(message, "from")} type=${Json.string(message, "type")}`,
    `    ${beginning(Json.string(message, "data"))}`
  ])
  return [`Inbox (${messages.length} messages):`, "", ...rows, "", "clear with: pilotctl inbox --clear"].join("\n")
}

/** `pilotctl received`. */
export const received = (directory: string, files: ReadonlyArray<Received>): string => {
  if (files.length === 0)
    return "no received files\n  files appear here when someone sends: pilotctl send-file <your-hostname> <file>"
  const table = Render.table(
    [
      ["NAME", 40],
      ["SIZE", 10],
      ["RECEIVED", 20]
    ],
    files.map((file) => [
      shown(file.isDirectory ? `${file.name}/` : file.name),
      file.isDirectory ? "-" : Render.size(file.sizeBytes),
      timeText(file.modifiedAtMs)
    ])
  )
  return [`Received files (${directory}):`, "", indented(table), "", `total: ${files.length}`].join("\n")
}

/** `pilotctl files list`. */
export const entries = (rows: ReadonlyArray<Entry>): string =>
  rows.length === 0
    ? "nothing is shared with this node"
    : Render.table(
        [
          ["NAME", 40],
          ["SIZE", 10]
        ],
        rows.map(({ bytes, kind, name }) =>
          kind === "directory" ? [shown(`${name}/`), "-"] : [shown(name), Render.size(bytes)]
        )
      )

/** `2026-11-20T17:46:01Z`; what a file's time is in JSON, too. */
export const timeText = (epochMs: number): string => `${new Date(epochMs).toISOString().slice(0, 19)}Z`

/** Peers choose names and texts: nothing of them may move a terminal's cursor. */
const shown = (name: string): string => name.replaceAll(CONTROL, "\ufffd")

/** The first 80 bytes, cut before a character that would be cut itself. */
const beginning = (data: string): string => {
  const bytes = Bytes.fromUtf8(data)
  const kept = bytes.length <= BEGINNING_BYTES ? data : cut(bytes)
  // Harmless ones are shown as the reference shows them; a backspace or an escape would rewrite what stands above.
  return kept.replaceAll(CONTROL, (character) => (HARMLESS.includes(character) ? character : "\ufffd"))
}

const cut = (bytes: Uint8Array): string => {
  let end = BEGINNING_BYTES
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return `${Bytes.toUtf8Lossy(bytes.subarray(0, end))}...`
}

const indented = (table: string): string =>
  table
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n")

const CONTROL = /\p{Cc}/gu
const HARMLESS = "\u0000\u0001\u0002\u0003\u0004\u0005\u0006\t\n"
const BEGINNING_BYTES = 80
