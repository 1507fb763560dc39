/** Arrays are for `$1::type[]`. Whatever has no value of its own in JavaScript goes as its text, with a cast in the statement. */
export type Parameter = null | string | number | bigint | boolean | readonly (null | string | number | bigint | boolean)[]

export interface PostgresColumn {
  readonly name: string
  /** OID of the type. */
  readonly type: number
}

export interface PostgresRows {
  readonly columns: readonly PostgresColumn[]
  /** Every value as the server writes it (ISO dates in UTC), unparsed: nothing is rounded on the way. */
  readonly rows: readonly (readonly (string | null)[])[]
  /** Rows read or written. */
  readonly count: number
}

export interface WorkOptions {
  /** From now, waiting for a connection included. The server stops the statement by itself shortly before. */
  readonly timeoutMs: number
  /** When it aborts the server is told to stop, and the caller is free at once. */
  readonly signal?: AbortSignal
  /** Default false. Work that only reads is tried once more when its connection turns out to be dead. */
  readonly readOnly?: boolean
  /** Default false. The next connection that is free is for this, whoever waits already. */
  readonly isUrgent?: boolean
  /** Everything in it sees one moment of the data. Default: each statement its own. */
  readonly snapshot?: boolean
  /** More to set for this work alone, such as `work_mem`. Names and values are Fabra's own, never a user's. */
  readonly settings?: Readonly<Record<string, string | number>>
}

export interface Statements {
  /** @param types OIDs of the parameters, where the server shall not infer them; costs a round trip. @throws SqlError */
  run(text: string, parameters?: readonly Parameter[], types?: readonly number[]): Promise<PostgresRows>
  /** What the server says of a statement without running it. @throws SqlError */
  describe(
    text: string,
    types?: readonly number[],
  ): Promise<{ readonly parameters: readonly number[]; readonly columns: readonly PostgresColumn[] }>
}

/** Inside of one transaction. */
export interface Transaction extends Statements {
  /** Several statements in one text, without parameters; Fabra's own, never a user's. @throws SqlError */
  script(text: string): Promise<void>
  /** Rows in the format that the `COPY` names. @throws SqlError */
  copy(text: string, data: string | Uint8Array): Promise<void>
}

export interface Postgres {
  /** One statement, in one round trip. @throws SqlError */
  run(text: string, parameters: readonly Parameter[], options: WorkOptions): Promise<PostgresRows>
  /** Several statements, all of them or none; committed when it resolves. A throw rolls back. @throws SqlError, and what `work` throws. */
  transaction<T>(options: WorkOptions, work: (statements: Transaction) => Promise<T>): Promise<T>
  /** Waits a little for what runs, then cuts it off. */
  close(): Promise<void>
}

export interface PostgresOptions {
  readonly url: string
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string
  /** Default 8. */
  readonly maxConnections?: number
  /** Default 5,000. */
  readonly connectTimeoutMs?: number
  /** How many may wait for a connection; more are refused. Default 1,000. */
  readonly maxWaiting?: number
}

export interface Deadline {
  leftMs(): number
  /** Rejects when the time is over or the caller gave up; never resolves. */
  readonly over: Promise<never>
  stop(): void
}
