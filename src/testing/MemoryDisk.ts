/**
 * A disk that survives what its machine does not: what was synced is there after a power cut, what was not may be there,
 * may be gone, and a file may be half of what was written. Directory entries are synced with their directory, files with
 * themselves; syncing anything also keeps the directories above it, as journaling file systems do.
 */
import * as SeededRandom from "./SeededRandom.ts"

/** A file: what programs read, and what a power cut is sure to leave. */
export interface DiskFile {
  readonly _tag: "File"
  readonly inode: number
  mode: number
  bytes: Uint8Array
  synced: Uint8Array
  /** When `bytes` were written, by the clock of the machine. */
  changedAtMs: number
}

/** A directory, likewise. */
export interface DiskDirectory {
  readonly _tag: "Directory"
  readonly inode: number
  mode: number
  readonly entries: Map<string, DiskEntry>
  synced: ReadonlyMap<string, DiskEntry>
}

/** What a path can lead to. */
export type DiskEntry = DiskFile | DiskDirectory

/** Mutable; the one of one machine. */
export class MemoryDisk {
  readonly root: DiskDirectory
  #inodes = 0
  #locks = new Set<string>()

  constructor() {
    this.root = this.makeDirectory(0o755)
  }

  /** An empty file that no path leads to yet. */
  makeFile(mode: number, nowMs: number): DiskFile {
    return { _tag: "File", inode: this.#nextInode(), mode, bytes: NOTHING, synced: NOTHING, changedAtMs: nowMs }
  }

  /** An empty directory that no path leads to yet. */
  makeDirectory(mode: number): DiskDirectory {
    return { _tag: "Directory", inode: this.#nextInode(), mode, entries: new Map(), synced: new Map() }
  }

  /** What is at a path. */
  find(path: string): DiskEntry | undefined {
    let entry: DiskEntry | undefined = this.root
    for (const name of parts(path)) entry = entry?._tag === "Directory" ? entry.entries.get(name) : undefined
    return entry
  }

  /** The directory that a path is in, and its name there; none for the root. */
  place(path: string): { readonly directory: DiskDirectory; readonly name: string } | undefined {
    const names = parts(path)
    const name = names.pop()
    const directory = this.find(`/${names.join("/")}`)
    return name === undefined || directory?._tag !== "Directory" ? undefined : { directory, name }
  }

  /** Makes sure of the content of what is at a path, and of the way to a directory. */
  sync(entry: DiskEntry, path: string): void {
    if (entry._tag === "File") {
      entry.synced = entry.bytes
      return
    }
    entry.synced = new Map(entry.entries)
    const names = parts(path)
    for (let depth = names.length - 1; depth >= 0; depth--) {
      const above = this.find(`/${names.slice(0, depth).join("/")}`)
      const below = above?._tag === "Directory" ? above.entries.get(names[depth]!) : undefined
      if (above?._tag === "Directory" && below !== undefined) {
        above.synced = new Map(above.synced).set(names[depth]!, below)
      }
    }
  }

  /** Takes a lock; false while somebody has it. */
  lock(directory: string): boolean {
    if (this.#locks.has(directory)) return false
    this.#locks.add(directory)
    return true
  }

  /** Gives a lock back. */
  unlock(directory: string): void {
    this.#locks.delete(directory)
  }

  /** The power goes: of everything unsynced, chance decides. Locks die with their processes. */
  crash(random: SeededRandom.SeededRandom): void {
    this.#locks = new Set()
    loseUnsynced(this.root, random)
  }

  /** The process goes: its locks are free, and what it wrote is there. */
  releaseLocks(): void {
    this.#locks = new Set()
  }

  #nextInode(): number {
    return ++this.#inodes
  }
}

const loseUnsynced = (entry: DiskEntry, random: SeededRandom.SeededRandom): void => {
  if (entry._tag === "File") {
    entry.bytes = entry.synced = survivor(entry, random)
    return
  }
  const names = new Set([...entry.entries.keys(), ...entry.synced.keys()])
  for (const name of [...names].toSorted()) {
    const current = entry.entries.get(name)
    const synced = entry.synced.get(name)
    const survives = current === synced || SeededRandom.chance(random, 0.5) ? current : synced
    if (survives === undefined) entry.entries.delete(name)
    else entry.entries.set(name, survives)
  }
  entry.synced = new Map(entry.entries)
  for (const below of entry.entries.values()) loseUnsynced(below, random)
}

/** The new content, the old one, or the beginning of the new one. */
const survivor = ({ bytes, synced }: DiskFile, random: SeededRandom.SeededRandom): Uint8Array => {
  if (bytes === synced) return synced
  const choice = SeededRandom.index(random, 3)
  return choice === 0 ? bytes : choice === 1 ? synced : bytes.slice(0, SeededRandom.index(random, bytes.length + 1))
}

/** The names along a path, without `.` and `..`, which no program of ours uses. */
export const parts = (path: string): Array<string> => path.split("/").filter((name) => name !== "" && name !== ".")

const NOTHING = new Uint8Array(0)
