/** Envelopes, error lines and tables (cli §1.2). */
import { DateTime } from "effect"
import * as GoJson from "../core/data/GoJson.ts"
import type { JsonObject } from "../core/data/Json.ts"
import type * as CliError from "./CliError.ts"
import type { Output } from "./Command.ts"

/** What a successful command puts on standard output. */
export const success = (result: Output, json: boolean): string => {
  if (result.data === undefined) return ""
  if (json) return `${GoJson.encode({ ...result.envelope, data: result.data, status: "ok" })}\n`
  if (result.human === undefined) return `${indented(result.data)}\n`
  return result.human === "" ? "" : `${result.human}\n`
}

/** What a failed command puts on standard error. */
export const failure = ({ code, message, hint }: CliError.CliError, json: boolean): string => {
  if (json) return `${GoJson.encode({ code, ...(hint === undefined ? {} : { hint }), message, status: "error" })}\n`
  return `error: ${message}\n${hint === undefined ? "" : `hint:  ${hint}\n`}`
}

/** The data object the way people read it: sorted keys, two-space indent. */
export const indented = (data: JsonObject): string => GoJson.encodeIndented(data)

/** A left-aligned table: fixed widths, two spaces between, the last column as long as it is. */
export const table = (
  columns: ReadonlyArray<readonly [title: string, width: number]>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): string =>
  [columns.map(([title]) => title), ...rows]
    .map((cells) =>
      cells.map((cell, index) => (index === cells.length - 1 ? cell : cell.padEnd(columns[index]?.[1] ?? 0))).join("  ")
    )
    .join("\n")

/** A byte count: `B` below 1024, else `KB`, `MB`, `GB` with one decimal. */
export const size = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} B`
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}

/** Whole seconds as `HH:MM:SS`. */
export const uptime = (seconds: number): string =>
  [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
    .map((part) => Math.floor(part).toString().padStart(2, "0"))
    .join(":")

/** An instant as people read it, in the zone that is `offsetMinutes` ahead of UTC: `2026-11-20 17:49:22`. */
export const localTime = (epochSeconds: number, offsetMinutes: number): string =>
  DateTime.formatIso(DateTime.makeUnsafe((epochSeconds + offsetMinutes * 60) * 1000))
    .slice(0, 19)
    .replace("T", " ")

const UNITS = ["B", "KB", "MB", "GB"] as const
