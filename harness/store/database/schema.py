"""Defines the tables of the database, their indexes and triggers.

Texts that many runs share are in separate tables (`subjects`, `configurations`, `builds`,
`findings`, `campaigns`, `failure_groups`). A filter first selects a few rows of these tables, and
then finds the runs by an index over numbers. `totals` counts the runs of each subject, build,
verdict and day. Triggers update `totals` with every change of `runs`, so that a trend never reads
all runs.
"""

from __future__ import annotations

VERSION = 2
"""This number is incremented when a table changes. A database of another version is rebuilt from
the folders."""

SCHEMA = """
CREATE TABLE subjects (
    id INTEGER PRIMARY KEY, system TEXT NOT NULL, workload TEXT NOT NULL, mutant TEXT NOT NULL,
    UNIQUE (system, workload, mutant)
);
CREATE TABLE configurations (
    id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, test TEXT NOT NULL, nemesis TEXT NOT NULL,
    members INTEGER NOT NULL, UNIQUE (subject, test, nemesis, members)
);
CREATE TABLE builds (
    id INTEGER PRIMARY KEY, version TEXT NOT NULL, commit_id TEXT NOT NULL,
    UNIQUE (version, commit_id)
);
CREATE TABLE findings (
    id INTEGER PRIMARY KEY, checker TEXT NOT NULL, kind TEXT NOT NULL, UNIQUE (checker, kind)
);
CREATE TABLE campaigns (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE failure_groups (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, folder TEXT NOT NULL,
    configuration INTEGER NOT NULL, build INTEGER NOT NULL, finding INTEGER NOT NULL,
    campaign INTEGER NOT NULL, number INTEGER NOT NULL, failure_group INTEGER NOT NULL,
    started INTEGER NOT NULL, verdict INTEGER NOT NULL, seed INTEGER, ended TEXT NOT NULL,
    error TEXT NOT NULL, load_s REAL NOT NULL, rate REAL, p50_ms REAL, p99_ms REAL,
    ok INTEGER NOT NULL, fail INTEGER NOT NULL, info INTEGER NOT NULL,
    anomalies INTEGER NOT NULL, because TEXT NOT NULL, reproduce TEXT NOT NULL
);
CREATE INDEX runs_started ON runs (started, verdict, configuration, build, campaign);
CREATE INDEX runs_rate ON runs (rate, verdict, configuration, build, campaign, started);
CREATE INDEX runs_p99 ON runs (p99_ms, verdict, configuration, build, campaign, started);
CREATE INDEX runs_configuration ON runs (configuration, verdict, started, build, campaign);
CREATE INDEX runs_build ON runs (build, configuration, verdict, started, campaign);
CREATE INDEX runs_campaign ON runs (campaign, configuration, verdict, started, build)
    WHERE campaign > 0;
CREATE INDEX runs_finding ON runs (finding, configuration, verdict, started, build, campaign)
    WHERE finding > 0;
CREATE INDEX runs_group ON runs (failure_group, configuration, verdict, started, build, campaign)
    WHERE failure_group > 0;
CREATE INDEX runs_failed ON runs (verdict, started, configuration, build, campaign)
    WHERE verdict > 0;
CREATE INDEX runs_seed ON runs (seed);
CREATE INDEX runs_folder ON runs (folder) WHERE folder <> '';
CREATE VIRTUAL TABLE reasons USING fts5 (because, content='runs', content_rowid='id');
CREATE TRIGGER reasons_added AFTER INSERT ON runs WHEN new.because <> '' BEGIN
    INSERT INTO reasons (rowid, because) VALUES (new.id, new.because);
END;
CREATE TRIGGER reasons_removed AFTER DELETE ON runs WHEN old.because <> '' BEGIN
    INSERT INTO reasons (reasons, rowid, because) VALUES ('delete', old.id, old.because);
END;
CREATE TABLE totals (
    build INTEGER NOT NULL, subject INTEGER NOT NULL, day INTEGER NOT NULL,
    verdict INTEGER NOT NULL, runs INTEGER NOT NULL, first INTEGER NOT NULL,
    rates INTEGER NOT NULL, rate REAL NOT NULL,
    latencies INTEGER NOT NULL, p50_ms REAL NOT NULL, p99_ms REAL NOT NULL,
    PRIMARY KEY (build, subject, day, verdict)
) WITHOUT ROWID;
CREATE TRIGGER runs_added AFTER INSERT ON runs BEGIN
    INSERT INTO totals VALUES (
        new.build, (SELECT subject FROM configurations WHERE id = new.configuration),
        new.started / 86400, new.verdict, 1, new.started,
        new.rate IS NOT NULL, coalesce(new.rate, 0),
        new.p50_ms IS NOT NULL, coalesce(new.p50_ms, 0), coalesce(new.p99_ms, 0)
    ) ON CONFLICT DO UPDATE SET
        runs = runs + 1, first = min(first, excluded.first),
        rates = rates + excluded.rates, rate = rate + excluded.rate,
        latencies = latencies + excluded.latencies,
        p50_ms = p50_ms + excluded.p50_ms, p99_ms = p99_ms + excluded.p99_ms;
END;
CREATE TRIGGER runs_removed AFTER DELETE ON runs BEGIN
    UPDATE totals SET
        runs = runs - 1,
        rates = rates - (old.rate IS NOT NULL), rate = rate - coalesce(old.rate, 0),
        latencies = latencies - (old.p50_ms IS NOT NULL),
        p50_ms = p50_ms - coalesce(old.p50_ms, 0), p99_ms = p99_ms - coalesce(old.p99_ms, 0)
    WHERE build = old.build
        AND subject = (SELECT subject FROM configurations WHERE id = old.configuration)
        AND day = old.started / 86400 AND verdict = old.verdict;
    DELETE FROM totals WHERE build = old.build
        AND subject = (SELECT subject FROM configurations WHERE id = old.configuration)
        AND day = old.started / 86400 AND verdict = old.verdict AND runs = 0;
END;
"""
