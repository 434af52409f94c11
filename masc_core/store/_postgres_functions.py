"""The functions inside PostgreSQL that make a commit one round trip.

All writing commits of a room take one advisory lock of their transaction. It makes log numbers gapless and visible in
order (the lock is given back after the commit has become visible), checks exact, and deadlocks impossible: there is only
one lock. It is no row lock, so a refused commit writes nothing at all, and whoever waits for it is served in turn.

The functions rely on READ COMMITTED: each statement inside them sees what was committed before it began, so whatever
follows the lock sees everything that earlier holders did.
"""

from __future__ import annotations

__all__ = ["FUNCTIONS"]

_LOCK = """
CREATE FUNCTION masc.enter(p_room int, p_patience int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'MASC needs transactions of level read committed';
    END IF;
    PERFORM set_config('lock_timeout', p_patience::text, true);
    -- Plans are kept. One made while a table is small must not read all of it when it has grown.
    PERFORM set_config('enable_seqscan', 'off', true);
    PERFORM pg_advisory_xact_lock(1296126787, p_room);
END $$
"""

_SETTLE = """
CREATE FUNCTION masc.settle(
    p_room int, p_patience int, p_leases bytea[], p_logs bytea[],
    OUT now float8, OUT fence bigint, OUT owners bytea[], OUT fences bigint[], OUT expires float8[],
    OUT lasts bigint[], OUT bodies bytea[]
) LANGUAGE plpgsql AS $$
DECLARE
    l record;
    v bigint;
    b bytea;
BEGIN
    PERFORM masc.enter(p_room, p_patience);
    owners := '{}'; fences := '{}'; expires := '{}'; lasts := '{}'; bodies := '{}';
    FOR i IN 1..cardinality(p_leases) LOOP
        SELECT s.owner, s.fence, s.expires INTO l FROM masc.leases s WHERE s.room = p_room AND s.name = p_leases[i];
        owners := owners || l.owner; fences := fences || l.fence; expires := expires || l.expires;
    END LOOP;
    FOR i IN 1..cardinality(p_logs) LOOP
        SELECT h.last INTO v FROM masc.heads h WHERE h.room = p_room AND h.log = p_logs[i];
        v := coalesce(v, 0);
        SELECT e.body INTO b FROM masc.entries e WHERE e.room = p_room AND e.log = p_logs[i] AND e.seq = v;
        lasts := lasts || v; bodies := array_append(bodies, b);
    END LOOP;
    SELECT r.fence INTO fence FROM masc.rooms r WHERE r.id = p_room;
    now := extract(epoch FROM clock_timestamp());
END $$
"""

# Terms are an index's name and value (or group) in one value: see _postgres_values.term.
_APPLY = """
CREATE FUNCTION masc.apply(
    p_room int, p_patience int, p_durable boolean,
    c_collections bytea[], c_keys bytea[], c_versions bigint[],
    l_logs bytea[], l_lasts bigint[], l_digests bytea[],
    d_collections bytea[], d_keys bytea[], d_puts bigint[], d_kept bigint[], d_bodies bytea[],
    d_terms bytea[], d_term_counts bigint[], d_groups bytea[], d_group_counts bigint[],
    h_logs bytea[], h_counts bigint[],
    a_heads bigint[], a_nths bigint[], a_bodies bytea[],
    a_terms bytea[], a_term_counts bigint[], a_groups bytea[], a_group_counts bigint[],
    r_logs bytea[], r_seqs bigint[], r_heads bigint[], r_before bigint[], r_kept bigint[], r_bodies bytea[],
    e_names bytea[], e_fences bigint[],
    s_names bytea[], s_owners bytea[], s_fences bigint[], s_expires float8[], p_fence bigint,
    OUT now float8, OUT seqs bigint[], OUT stale boolean, OUT failed int[], OUT versions bigint[], OUT bodies bytea[]
) LANGUAGE plpgsql AS $$
DECLARE
    v bigint;
    b bytea;
    existed boolean;
    changed boolean := cardinality(d_keys) + cardinality(h_logs) + cardinality(r_seqs) + cardinality(e_names)
        + cardinality(s_names) > 0;
    old_terms bytea[];
    old_groups bytea[];
    new_terms bytea[];
    new_groups bytea[];
    terms_at int := 0;
    groups_at int := 0;
    bases bigint[] := '{}';
    t_collections bytea[] := '{}';
    t_terms bytea[] := '{}';
    t_steps int[] := '{}';
    g bytea;
    hint text := '';
BEGIN
    PERFORM masc.enter(p_room, p_patience);
    seqs := '{}'; failed := '{}'; versions := '{}'; bodies := '{}'; stale := false;

    FOR i IN 1..cardinality(c_keys) LOOP
        SELECT d.version INTO v FROM masc.documents d
            WHERE d.room = p_room AND d.collection = c_collections[i] AND d.key = c_keys[i];
        IF coalesce(v, 0) <> c_versions[i] THEN
            failed := failed || i;
        END IF;
    END LOOP;
    IF cardinality(failed) > 0 THEN
        FOR j IN 1..cardinality(failed) LOOP
            SELECT d.version, d.body INTO v, b FROM masc.documents d
                WHERE d.room = p_room AND d.collection = c_collections[failed[j]] AND d.key = c_keys[failed[j]];
            versions := versions || v; bodies := array_append(bodies, b);
        END LOOP;
    ELSE
        FOR i IN 1..cardinality(l_logs) LOOP
            SELECT h.last INTO v FROM masc.heads h WHERE h.room = p_room AND h.log = l_logs[i];
            v := coalesce(v, 0);
            SELECT e.body INTO b FROM masc.entries e WHERE e.room = p_room AND e.log = l_logs[i] AND e.seq = v;
            versions := versions || v; bodies := array_append(bodies, b);
            stale := stale OR v <> l_lasts[i] OR coalesce(sha256(b), '') <> l_digests[i];
        END LOOP;
    END IF;
    IF cardinality(failed) > 0 OR stale OR NOT changed THEN
        now := extract(epoch FROM clock_timestamp());
        RETURN;
    END IF;
    versions := '{}'; bodies := '{}';

    IF NOT p_durable THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    ELSIF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    FOR i IN 1..cardinality(d_keys) LOOP
        IF d_kept[i] = 2 THEN
            -- Another form of the same body, which has no terms or groups in the parameters.
            UPDATE masc.documents d SET body = d_bodies[i]
                WHERE d.room = p_room AND d.collection = d_collections[i] AND d.key = d_keys[i];
            CONTINUE;
        END IF;
        SELECT d.version, d.terms, d.groups INTO v, old_terms, old_groups FROM masc.documents d
            WHERE d.room = p_room AND d.collection = d_collections[i] AND d.key = d_keys[i];
        existed := FOUND;
        new_terms := d_terms[terms_at + 1 : terms_at + d_term_counts[i]];
        new_groups := d_groups[groups_at + 1 : groups_at + d_group_counts[i]];
        terms_at := terms_at + d_term_counts[i];
        groups_at := groups_at + d_group_counts[i];
        IF existed AND d_kept[i] = 1 THEN
            UPDATE masc.documents d SET version = v + d_puts[i], terms = new_terms, groups = new_groups, body = d_bodies[i]
                WHERE d.room = p_room AND d.collection = d_collections[i] AND d.key = d_keys[i];
        ELSIF d_kept[i] = 1 THEN
            DELETE FROM masc.tombstones t
                WHERE t.room = p_room AND t.collection = d_collections[i] AND t.key = d_keys[i]
                RETURNING t.version INTO v;
            INSERT INTO masc.documents (room, collection, key, version, terms, groups, body) VALUES
                (p_room, d_collections[i], d_keys[i], coalesce(v, 0) + d_puts[i], new_terms, new_groups, d_bodies[i]);
        ELSIF existed OR d_puts[i] > 0 THEN
            DELETE FROM masc.documents d
                WHERE d.room = p_room AND d.collection = d_collections[i] AND d.key = d_keys[i];
            INSERT INTO masc.tombstones AS t (room, collection, key, version)
                VALUES (p_room, d_collections[i], d_keys[i], coalesce(v, 0) + d_puts[i])
                ON CONFLICT (room, collection, key) DO UPDATE SET version = t.version + d_puts[i];
        END IF;
        old_terms := coalesce(old_terms, '{}');
        old_groups := coalesce(old_groups, '{}');
        IF old_terms <> new_terms THEN
            -- One by one: asked for several at once, the planner may walk through all keys of the collection.
            FOREACH g IN ARRAY old_terms LOOP
                CONTINUE WHEN g = ANY (new_terms);
                DELETE FROM masc.document_index x WHERE x.room = p_room AND x.collection = d_collections[i]
                    AND x.term = g AND x.key = d_keys[i];
            END LOOP;
            INSERT INTO masc.document_index (room, collection, term, key)
                SELECT p_room, d_collections[i], n, d_keys[i] FROM unnest(new_terms) n WHERE NOT n = ANY (old_terms);
        END IF;
        IF old_groups <> new_groups THEN
            FOREACH g IN ARRAY old_groups || new_groups LOOP
                t_collections := t_collections || d_collections[i]; t_terms := t_terms || g;
                t_steps := t_steps || CASE WHEN g = ANY (new_groups) THEN 1 ELSE 0 END
                    - CASE WHEN g = ANY (old_groups) THEN 1 ELSE 0 END;
            END LOOP;
        END IF;
    END LOOP;

    FOR i IN 1..cardinality(h_logs) LOOP
        INSERT INTO masc.heads AS h (room, log, last) VALUES (p_room, h_logs[i], h_counts[i])
            ON CONFLICT (room, log) DO UPDATE SET last = h.last + h_counts[i] RETURNING h.last INTO v;
        bases := bases || (v - h_counts[i]);
        hint := hint || encode(h_logs[i], 'hex') || ':' || v || ' ';
    END LOOP;
    terms_at := 0;
    groups_at := 0;
    FOR i IN 1..cardinality(a_heads) LOOP
        v := bases[a_heads[i]] + a_nths[i];
        seqs := seqs || v;
        new_terms := a_terms[terms_at + 1 : terms_at + a_term_counts[i]];
        new_groups := a_groups[groups_at + 1 : groups_at + a_group_counts[i]];
        terms_at := terms_at + a_term_counts[i];
        groups_at := groups_at + a_group_counts[i];
        INSERT INTO masc.entries (room, log, seq, terms, groups, body)
            VALUES (p_room, h_logs[a_heads[i]], v, new_terms, new_groups, a_bodies[i]);
        IF cardinality(new_terms) > 0 THEN
            INSERT INTO masc.entry_index (room, log, term, seq)
                SELECT p_room, h_logs[a_heads[i]], n, v FROM unnest(new_terms) n;
        END IF;
        FOREACH g IN ARRAY new_groups LOOP
            t_collections := t_collections || h_logs[a_heads[i]]; t_terms := t_terms || g; t_steps := t_steps || 1;
        END LOOP;
    END LOOP;

    FOR i IN 1..cardinality(r_seqs) LOOP
        -- A number that this commit gives out later was not there to be removed or rewritten.
        CONTINUE WHEN r_heads[i] > 0 AND r_seqs[i] > bases[r_heads[i]] + r_before[i];
        IF r_kept[i] = 1 THEN
            UPDATE masc.entries e SET body = r_bodies[i]
                WHERE e.room = p_room AND e.log = r_logs[i] AND e.seq = r_seqs[i];
            CONTINUE;
        END IF;
        DELETE FROM masc.entries e WHERE e.room = p_room AND e.log = r_logs[i] AND e.seq = r_seqs[i]
            RETURNING e.terms, e.groups INTO old_terms, old_groups;
        IF FOUND THEN
            FOREACH g IN ARRAY old_terms LOOP
                DELETE FROM masc.entry_index x
                    WHERE x.room = p_room AND x.log = r_logs[i] AND x.term = g AND x.seq = r_seqs[i];
            END LOOP;
            FOREACH g IN ARRAY old_groups LOOP
                t_collections := t_collections || r_logs[i]; t_terms := t_terms || g; t_steps := t_steps || -1;
            END LOOP;
        END IF;
    END LOOP;

    IF cardinality(t_terms) > 0 THEN
        INSERT INTO masc.tallies AS t (room, collection, term, n)
            SELECT p_room, u.c, u.t, sum(u.s) FROM unnest(t_collections, t_terms, t_steps) u (c, t, s)
                GROUP BY u.c, u.t HAVING sum(u.s) <> 0
            ON CONFLICT (room, collection, term) DO UPDATE SET n = t.n + excluded.n;
    END IF;

    FOR i IN 1..cardinality(e_names) LOOP
        DELETE FROM masc.leases s WHERE s.room = p_room AND s.name = e_names[i] AND s.fence <= e_fences[i];
    END LOOP;
    FOR i IN 1..cardinality(s_names) LOOP
        INSERT INTO masc.leases (room, name, owner, fence, expires)
            VALUES (p_room, s_names[i], s_owners[i], s_fences[i], s_expires[i])
            ON CONFLICT (room, name) DO UPDATE
            SET owner = excluded.owner, fence = excluded.fence, expires = excluded.expires;
    END LOOP;
    IF p_fence > 0 THEN
        UPDATE masc.rooms r SET fence = p_fence WHERE r.id = p_room;
    END IF;

    IF cardinality(h_logs) > 0 THEN
        -- A hint that is too long for PostgreSQL becomes an empty one, which means: look yourselves.
        PERFORM pg_notify('masc_' || p_room, CASE WHEN length(hint) < 7900 THEN hint ELSE '' END);
    END IF;
    now := extract(epoch FROM clock_timestamp());
END $$
"""

FUNCTIONS = (_LOCK, _SETTLE, _APPLY)
