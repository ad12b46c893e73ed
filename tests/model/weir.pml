/* The core of the protocol for spin: grants, a barrier, an owner change, a live event; a coordinator
 * that dies and comes again while the workers go on; a worker that dies, or is only thought dead; a
 * new generation; a file sink; links that lose what is under way.
 *
 * Two workers compute S steps of NG key groups in a row. A step of a key group needs its own state and
 * those of its neighbours (the halo), which travel in any order and with any delay. A value is a hash
 * of all values that it was made of, so that a wrong input shows in every value behind it. The
 * observer keeps the first value ever seen of each (key group, step) and asserts that
 *
 *   a value that is computed again, by whom and in what generation ever, is the same;
 *   in a generation a step of a key group is computed once;
 *   nobody begins a step of a barrier, or of an event, without knowing of it;
 *   nobody begins a step in a generation that a member has not installed (so that data of a newer
 *   generation than the receiver's, which is parked, never has to be);
 *   the sink's file gets each step once and in order, over all generations;
 *   what is committed is not ahead of the sink's file;
 *   what a generation begins with is a whole snapshot;
 *   in the end every value is what one worker without faults would compute.
 *
 * There is no loop in it: every run ends, so a run that does not end well is a deadlock, which spin
 * calls an invalid end state.
 *
 * "Bound" is exclusive: steps below it may begin. gr, wgrant and the grants sent are bounds.
 *
 * Not in it: credits, disks that lose power, several stages, marks of key_by, more than one attempt
 * at a barrier at a time, more than two generations. Those are the simulator's.
 *
 * Size:    S steps, NG key groups (2 or 3)
 * Orders:  UBAR barrier, UMV owner change, UEV event: 1 used, 0 not
 * Faults:  CC deaths of the coordinator, WC of a worker, LC losses of a link; NOGEN: the coordinator
 *          begins no generation (then WC is 0)
 * Mutants: a rule left out, each at the place where the rule stands; model.sh lists them. */

#ifndef S
#define S 2
#endif
#ifndef NG
#define NG 2
#endif
#ifndef CC
#define CC 1
#endif
#ifndef WC
#define WC 1
#endif
#ifndef LC
#define LC 0
#endif
#ifdef NOGEN
#define GENOK 0
#else
#define GENOK 1
#endif
#ifndef UBAR
#define UBAR 1
#endif
#ifndef UMV
#define UMV 1
#endif
#ifndef UEV
#define UEV 1
#endif

#define NO 99   /* an order that was not given */
#define MG 1    /* the key group that the owner change moves, to worker 0 */
#define ALL ((1 << NG) - 1)
#define BIT(m, s) (((m) >> (s)) & 1)
#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define LOW(m) ((m) & 1 -> 0 : ((m) & 2 -> 1 : ((m) & 4 -> 2 : ((m) & 8 -> 3 : 4))))

/* Phases of the coordinator. */
#define RUN 0
#define INSTALL 1 /* a new generation: waits until every member has installed it */
#define DOWN 2
#define ATTACH 3  /* came again: waits until every member has reported */

/* ---- the observer ---- */

byte res[NG * (S + 1)]; /* the first value seen of a key group entering a step; 0: none */
byte ex[2 * NG];        /* steps computed, per generation and key group */
byte flen;              /* the sink's file: steps in it */

/* ---- the coordinator: what its disk holds ---- */

byte dgen = 1, dinc;    /* generation, incarnation */
byte hdisk;             /* length of the history */
byte ceil_ = 1;         /* no step at or above it was ever granted */
byte K, snapm = ALL;    /* the committed snapshot's step, the key groups that are in it */
byte base2;             /* generation 2 has worker 1 only */
byte evfloor;           /* new events go to this step or above */
byte barI = NO, barS, barG; /* barrier: place in the history, step, generation */
byte mvI = NO, mvS, mvG;    /* owner change */
byte evI = NO, evS;         /* event: of no generation */

/* ---- the coordinator: what it forgets when it dies ---- */

byte phase = RUN;
byte gr, hlen;
byte ordsent[2], sent[2]; /* to each worker: history sent, bound sent */
bool ack[2] = 1, rep[2];  /* has installed the generation; has reported to this incarnation */
byte cc = CC, wc = WC;    /* faults left */

/* ---- the workers ---- */

byte wgen[2] = 1, winc[2]; /* 0: not there; the incarnation that it promised to obey */
byte wgrant[2], wapp[2];   /* bound, history applied */
byte st[2 * NG];           /* a key group's state, at step st - 1; 0: not here */
byte hasH[2 * NG];         /* halo of a key group that has arrived, by step */
bool opn[2 * NG];          /* its step has begun: captured, halo sent */
byte cap[2];               /* key groups captured for the barrier, not yet reported */
byte pb[2], ph[2];         /* a grant that waits for the history that it names */

/* ---- the network ---- */

byte flyS[4 * NG], flyH[4 * NG]; /* data by generation, receiver, key group: steps under way */
byte part[2];                    /* chunks reported durable, by generation */
chan ctl[4] = [2] of { byte, byte, byte }; /* by worker and incarnation: generation, bound, history */
bool done;

#if LC
byte lc = LC;
byte keptS[4 * NG], keptH[4 * NG]; /* what the sender keeps to send it again */
byte gotS[4 * NG], gotH[4 * NG];   /* what the receiver knows it had, by sequence number */
bool cut[4], ctlcut[2];            /* links that have lost something: data, control */
#define KEEP(kept, i, s) kept[i] = kept[i] | (1 << (s));
#define LOSSES lc
#else
#define KEEP(kept, i, s)
#define LOSSES 0
#endif

#define AT(n, w, g) (((n) * 2 + (w)) * NG + (g))

/* ---- who owns what ---- */

#define BASE(gn, g) ((gn) == 2 && base2 -> 1 : ((g) == 0 -> 0 : 1))
#ifdef KEEPMOVE /* rule: a new generation voids the owner changes of the old one */
#define KMV(w) (mvI < wapp[w])
#else
#define KMV(w) (mvI < wapp[w] && mvG == wgen[w])
#endif
#define OWN(w, g, s) ((g) == MG && KMV(w) && (s) >= mvS -> 0 : BASE(wgen[w], g))
#define MEM(w) (dgen == 1 || !base2 || (w) == 1)

#ifdef VOIDEV /* rule: but not the events */
#define EV(w, s) (evI < wapp[w] && evS == (s) && wgen[w] == 1)
#else
#define EV(w, s) (evI < wapp[w] && evS == (s))
#endif

#define R(g, s) res[(g) * (S + 1) + (s)]
#define HASH(g, s, e) (1 + (3 * R(g, s) + ((g) > 0 -> 5 * R((g) - 1, s) : 0) + \
                       ((g) < NG - 1 -> 7 * R((g) + 1, s) : 0) + 11 * (e) + (g)) % 250)
#define FULL(gn) (BIT(ex[((gn) - 1) * NG], S - 1) && BIT(ex[((gn) - 1) * NG + 1], S - 1) && \
                  BIT(ex[((gn) - 1) * NG + NG - 1], S - 1))
#define BARPEND (barI != NO && barG == dgen && K < barS)

/* ---- a worker's tasks ---- */

#define CUR(g) (st[w * NG + g] - 1)
#define HAVE(g) (wgen[w] && st[w * NG + g] && CUR(g) < S)
#define NBR(g, s) (((g) == 0 || BIT(hasH[w * NG + (g) - 1], s)) && \
                   ((g) == NG - 1 || BIT(hasH[w * NG + (g) + 1], s)))

inline halo(w, g, s, d) { /* the state of g at s, to the owner of its neighbour d */
    t = OWN(w, d, s);
    if
    :: t == w -> hasH[w * NG + g] = hasH[w * NG + g] | (1 << (s))
    :: else ->
        flyH[AT(wgen[w] - 1, t, g)] = flyH[AT(wgen[w] - 1, t, g)] | (1 << (s));
        KEEP(keptH, AT(wgen[w] - 1, t, g), s)
    fi
}

inline halos(w, g, s) {
    if :: g > 0 -> halo(w, g, s, g - 1) :: else fi;
    if :: g < NG - 1 -> halo(w, g, s, g + 1) :: else fi;
    t = 0
}

inline wclear(w) { d_step { /* a worker forgets everything */
    t = 0;
    do
    :: t < NG -> st[w * NG + t] = 0; hasH[w * NG + t] = 0; opn[w * NG + t] = 0; t++
    :: else -> break
    od;
    cap[w] = 0; pb[w] = 0; ph[w] = 0; wgrant[w] = 0; wapp[w] = 0; t = 0
} }

#ifdef EARLY /* rule: data of a step is addressed only when the grant reaches the step */
#define SHIPOK(g) 1
#define SENDAT(g) if :: s == 0 -> halos(w, g, s) :: else fi;
#define SENDNEXT(g) if :: s + 1 < S -> halos(w, g, s + 1) :: else fi;
#else
#define SHIPOK(g) (CUR(g) < wgrant[w])
#define SENDAT(g) halos(w, g, s);
#define SENDNEXT(g)
#endif

#ifdef TAKEOVER /* rule: the snapshot's reference is taken before a step may write in place */
#define CAPT(g, s)
#else
#define CAPT(g, s) \
      if :: barI < wapp[w] && barG == wgen[w] && barS == s -> cap[w] = cap[w] | (1 << g) \
         :: else fi;
#endif

/* Begin a step; hand a state to its owner; end a step. */
#define TASK(g) \
 :: atomic { HAVE(g) && !opn[w * NG + g] && CUR(g) < wgrant[w] && OWN(w, g, CUR(g)) == w -> \
      s = CUR(g); \
      assert(!(barI < hlen && barG == wgen[w] && barS == s) || barI < wapp[w]); \
      assert(!(evI < hlen && evS == s) || evI < wapp[w] || wgen[w] < dgen); \
      assert(wgen[w] == 1 || ((wgen[0] == 2 || !MEM(0)) && wgen[1] == 2)); \
      CAPT(g, s) opn[w * NG + g] = 1; SENDAT(g) s = 0 } \
 :: atomic { HAVE(g) && !opn[w * NG + g] && SHIPOK(g) && OWN(w, g, CUR(g)) != w -> \
      t = OWN(w, g, CUR(g)); \
      flyS[AT(wgen[w] - 1, t, g)] = flyS[AT(wgen[w] - 1, t, g)] | (1 << CUR(g)); \
      KEEP(keptS, AT(wgen[w] - 1, t, g), CUR(g)) st[w * NG + g] = 0; t = 0 } \
 :: atomic { HAVE(g) && opn[w * NG + g] && NBR(g, CUR(g)) -> \
      s = CUR(g); \
      assert(!BIT(ex[(wgen[w] - 1) * NG + g], s)); \
      ex[(wgen[w] - 1) * NG + g] = ex[(wgen[w] - 1) * NG + g] | (1 << s); \
      v = HASH(g, s, EV(w, s)); \
      assert(R(g, s + 1) == 0 || R(g, s + 1) == v); \
      R(g, s + 1) = v; v = 0; \
      if :: g == 0 -> assert(flen == s); flen = s + 1 :: else fi; \
      st[w * NG + g] = s + 2; opn[w * NG + g] = 0; SENDNEXT(g) s = 0 }

/* ---- data arrives ---- */

#ifdef REJECT /* rule: what the receiver does not know to be its own is parked, not refused */
#define WANTS(g, x) (OWN(w, g, x) == w)
#define WANTH(g, x) (((g) > 0 && OWN(w, (g) - 1, x) == w) || ((g) < NG - 1 && OWN(w, (g) + 1, x) == w))
#else
#define WANTS(g, x) 1
#define WANTH(g, x) 1
#endif
#ifdef NOGENDATA /* rule: data of an older generation is dropped */
#define OKGEN(n) (wgen[w] > 0)
#else
#define OKGEN(n) (wgen[w] == (n) + 1)
#endif
#define OLDGEN(n) (wgen[w] > (n) + 1)
#if !LC
#define FIRST(got, n, g) 1
#define GOT(got, n, g)
#else
#ifdef NOREPEAT /* rule: what comes again is dropped by its sequence number */
#define FIRST(got, n, g) 1
#else
#define FIRST(got, n, g) (!BIT(got[AT(n, w, g)], s))
#endif
#define GOT(got, n, g) got[AT(n, w, g)] = got[AT(n, w, g)] | (1 << s);
#endif

#define FS(n, g) flyS[AT(n, w, g)]
#define FH(n, g) flyH[AT(n, w, g)]
#define NET(n, g) \
 :: atomic { FS(n, g) && OKGEN(n) -> s = LOW(FS(n, g)); FS(n, g) = FS(n, g) & ~(1 << s); \
      if :: WANTS(g, s) && FIRST(gotS, n, g) -> st[w * NG + g] = s + 1; opn[w * NG + g] = 0 \
         :: else fi; \
      GOT(gotS, n, g) s = 0 } \
 :: atomic { FH(n, g) && OKGEN(n) -> s = LOW(FH(n, g)); FH(n, g) = FH(n, g) & ~(1 << s); \
      if :: WANTH(g, s) && FIRST(gotH, n, g) -> hasH[w * NG + g] = hasH[w * NG + g] | (1 << s) \
         :: else fi; \
      GOT(gotH, n, g) s = 0 } \
 :: atomic { (FS(n, g) || FH(n, g)) && OLDGEN(n) -> FS(n, g) = 0; FH(n, g) = 0 }

/* A link loses what is under way. When it stands again, the sender sends what it has kept: all of it,
 * or, if all acknowledgements have come through, what has not arrived. In between is as good as one
 * of these. */
#if LC
#ifdef NORESEND /* rule: what was lost is sent again */
#define AGAIN(fly, kept, got, i)
#else
#define AGAIN(fly, kept, got, i) \
      if :: fly[i] = fly[i] | kept[i] :: fly[i] = fly[i] | (kept[i] & ~got[i]) fi;
#endif
#define LOSE(n, g) FS(n, g) = 0; FH(n, g) = 0;
#define REPAIR(n, g) AGAIN(flyS, keptS, gotS, AT(n, w, g)) AGAIN(flyH, keptH, gotH, AT(n, w, g))
#define LINK(n) \
 :: atomic { lc && !cut[n * 2 + w] && (FS(n, 0) || FH(n, 0) || FS(n, 1) || FH(n, 1)) -> \
      lc--; cut[n * 2 + w] = 1; LOSE(n, 0) LOSE(n, 1) } \
 :: atomic { cut[n * 2 + w] && wgen[1 - w] == n + 1 -> \
      cut[n * 2 + w] = 0; REPAIR(n, 0) REPAIR(n, 1) }
#else
#define LINK(n)
#endif

/* ---- grants arrive ---- */

#ifdef NOPROMISE /* rule: a report is a promise to obey no older incarnation */
#define OLDINC(i) 0
#else
#define OLDINC(i) ((i) < winc[w])
#endif
#ifdef STALEGRANT /* rule: a grant of another generation is void */
#define BADGEN 0
#else
#define BADGEN (a != wgen[w])
#endif
#if LC
#define HEARS !ctlcut[w]
#else
#define HEARS 1
#endif

inline recv(w, i) { /* a grant waits until the history that it names is applied */
    ctl[w * 2 + i] ? a, b, h;
    if
    :: OLDINC(i) || BADGEN || wgen[w] == 0
#ifndef NOGATE
    :: !(OLDINC(i) || BADGEN || wgen[w] == 0) && wapp[w] < h ->
        pb[w] = MAX(pb[w], b); ph[w] = MAX(ph[w], h)
#endif
    :: else -> wgrant[w] = MAX(wgrant[w], b)
    fi;
    a = 0; b = 0; h = 0
}

#ifdef NOLOCK /* rule: the sink's old writer is dead before the file is opened again */
#define LOCKFREE 1
#else
#define LOCKFREE (!base2 || wgen[0] != 1)
#endif

proctype Worker(byte w) {
    byte s, t, v, a, b, h;

    do
    :: atomic { done -> break }
    TASK(0) TASK(1) NET(0, 0) NET(0, 1) NET(1, 0) NET(1, 1) LINK(0) LINK(1)
#if NG > 2
    TASK(2) NET(0, 2) NET(1, 2)
#endif
    :: atomic { nempty(ctl[w * 2]) && HEARS -> recv(w, 0) }
    :: atomic { nempty(ctl[w * 2 + 1]) && HEARS -> recv(w, 1) }
    :: atomic { ph[w] && wapp[w] >= ph[w] -> wgrant[w] = MAX(wgrant[w], pb[w]); pb[w] = 0; ph[w] = 0 }
    /* an order arrives, by a channel of its own */
    :: atomic { wgen[w] && wapp[w] < ordsent[w] && HEARS -> wapp[w]++ }
    /* what was captured is durable, and reported */
    :: atomic { cap[w] && wgen[w] -> part[wgen[w] - 1] = part[wgen[w] - 1] | cap[w]; cap[w] = 0 }
    /* report to a coordinator that came again: the largest of the grants holds */
    :: atomic { phase == ATTACH && !rep[w] && MEM(w) ->
        rep[w] = 1; winc[w] = dinc; pb[w] = 0; ph[w] = 0;
        if
        :: wgen[w] == dgen ->
            ack[w] = 1; ordsent[w] = wapp[w]; sent[w] = wgrant[w];
#ifdef MINATTACH
            gr = (rep[1 - w] && ack[1 - w] && gr < wgrant[w] -> gr : wgrant[w])
#else
            gr = MAX(gr, wgrant[w])
#endif
        :: else
        fi }
    /* install generation 2: from the committed snapshot, which must be whole */
    :: atomic { phase != DOWN && phase != ATTACH && dgen == 2 && MEM(w) && !ack[w] && LOCKFREE ->
        wclear(w);
        wgen[w] = 2; winc[w] = dinc; wgrant[w] = K; wapp[w] = hdisk; ordsent[w] = hdisk; sent[w] = K;
        ack[w] = 1;
        assert(snapm == ALL);
        assert(K == 0 || R(0, K));
        t = 0;
        do
        :: t < NG ->
            if
            :: OWN(w, t, K) == w -> st[w * NG + t] = K + 1; if :: t == 0 -> flen = K :: else fi
            :: else
            fi;
            t++
        :: else -> break
        od;
        t = 0 }
    :: atomic { w == 0 && dgen == 2 && base2 && wgen[0] == 1 -> wclear(0); wgen[0] = 0 } /* SIGKILL */
    :: atomic { wc && dgen == 1 && wgen[w] == 1 -> wc--; wclear(w); wgen[w] = 0 }        /* it dies */
    od
}

/* ---- the coordinator ---- */

#ifdef SENDFIRST /* rule: an order is durable before it is sent */
#define SENDTO hlen
#define PERSIST
#else
#define SENDTO hdisk
#define PERSIST hdisk = hlen;
#endif
#ifdef STALEPART /* rule: a part of an old generation commits nothing */
#define PREPARED (barI != NO && K < barS && part[barG - 1] == ALL)
#else
#ifdef EARLYCOMMIT /* rule: a snapshot is committed when all of it is prepared */
#define PREPARED (BARPEND && part[barG - 1])
#else
#define PREPARED (BARPEND && part[barG - 1] == ALL)
#endif
#endif
#ifdef EARLYCOMMIT
#define PREPARED_GROUPS part[barG - 1]
#else
#define PREPARED_GROUPS ALL
#endif
#ifdef NOFLOOR /* rule: new events go above every step that may have been granted */
#define SETFLOOR
#else
#define SETFLOOR evfloor = ceil_;
#endif
#ifdef NOACKWAIT /* rule: no grant before every member has installed the generation */
#define INSTALLED 1
#else
#define INSTALLED ((ack[0] || !MEM(0)) && ack[1])
#endif
#define REPORTED ((rep[0] || !MEM(0)) && rep[1])
#define ACKED ((ack[0] || !MEM(0)) && ack[1])

#define SEND(w) \
 :: atomic { phase == RUN && ack[w] && sent[w] < gr && nfull(ctl[w * 2 + dinc]) -> \
      ctl[w * 2 + dinc] ! dgen, gr, hlen; sent[w] = gr } \
 :: atomic { phase == RUN && ack[w] && ordsent[w] < SENDTO -> ordsent[w]++ }

#if LC
#ifdef NORESEND
#define RESUME(w)
#else /* the worker reports its place in the history; the grant is sent anew */
#define RESUME(w) sent[w] = 0; ordsent[w] = wapp[w];
#endif
#define CONTROL(w) \
 :: atomic { lc && phase == RUN && ack[w] && !ctlcut[w] && nempty(ctl[w * 2 + dinc]) -> \
      lc--; ctlcut[w] = 1; \
      do :: nempty(ctl[w * 2 + dinc]) -> ctl[w * 2 + dinc] ? _, _, _ :: else -> break od } \
 :: atomic { ctlcut[w] -> ctlcut[w] = 0; if :: phase == RUN && ack[w] -> RESUME(w) skip :: else fi }
#else
#define CONTROL(w)
#endif

proctype Coord() {
    byte s, g;

    do
    /* the end: everything is what it should be */
    :: atomic { phase == RUN && FULL(dgen) && !BARPEND && hdisk == hlen ->
        s = 0;
        do
        :: s < S ->
            g = 0;
            do
            :: g < NG -> assert(R(g, s + 1) == HASH(g, s, (evI != NO && evS == s))); g++
            :: else -> break
            od;
            s++
        :: else -> break
        od;
        assert(flen == S);
        done = 1;
        break }
    :: atomic { phase == RUN && gr < S && gr < ceil_ -> gr++ }
    :: atomic { phase == RUN && gr == ceil_ && ceil_ < S -> ceil_++ }
    SEND(0) SEND(1) CONTROL(0) CONTROL(1)
    /* orders, placed at the first step that is not granted */
    :: atomic { phase == RUN && barI == NO && gr < S && gr > 0 && UBAR ->
        barI = hlen; barS = gr; barG = dgen; hlen++; PERSIST }
    :: atomic { phase == RUN && mvI == NO && dgen == 1 && gr < S && UMV ->
        mvI = hlen; mvS = gr; mvG = dgen; hlen++; PERSIST }
    :: atomic { phase == RUN && evI == NO && MAX(gr, evfloor) < S && UEV ->
        evI = hlen; evS = MAX(gr, evfloor); hlen++; PERSIST }
#ifdef SENDFIRST
    :: atomic { phase == RUN && hdisk < hlen -> hdisk = hlen }
#endif
    :: atomic { phase == RUN && PREPARED -> assert(flen >= barS); K = barS; snapm = PREPARED_GROUPS }
    /* a worker is dead, or thought dead: a new generation, with both or with worker 1 alone */
    :: atomic { (phase == RUN || phase == ATTACH) && dgen == 1 && GENOK ->
        if :: base2 = 0 :: base2 = 1 fi;
        dgen = 2; ack[0] = 0; ack[1] = 0; gr = K; phase = INSTALL; SETFLOOR }
    :: atomic { phase == INSTALL && INSTALLED -> gr = K; phase = RUN }
    /* it dies; what was not on its disk is gone */
    :: atomic { cc && phase != DOWN && (WC || wgen[0]) ->
        cc--; phase = DOWN; hlen = hdisk;
        if :: barI != NO && barI >= hdisk -> barI = NO :: else fi;
        if :: mvI != NO && mvI >= hdisk -> mvI = NO :: else fi;
        if :: evI != NO && evI >= hdisk -> evI = NO :: else fi;
#ifdef ONCE /* rule: prepared is sent again until it is answered */
        part[0] = 0; part[1] = 0;
#endif
      }
    :: atomic { phase == DOWN ->
        dinc++; gr = 0; ack[0] = 0; ack[1] = 0; rep[0] = 0; rep[1] = 0; sent[0] = 0; sent[1] = 0;
        phase = ATTACH }
    :: atomic { phase == ATTACH && REPORTED && ACKED -> phase = RUN }
    :: atomic { phase == ATTACH && dgen == 2 && REPORTED && !ACKED -> gr = K; phase = INSTALL }
    od
}

init {
    byte i;

    atomic {
        for (i : 0 .. NG - 1) { R(i, 0) = i + 1 }
        st[0] = 1;
        st[NG + 1] = 1;
#if NG > 2
        st[NG + 2] = 1;
#endif
        i = 0;
        run Coord(); run Worker(0); run Worker(1)
    }
}
