#include "coordinator/coord_hand.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct coord_hand {
    void (*wake)(void *user);
    void *user;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t given;
    void (*work)(void *arg); /* null: none, or taken by the thread */
    void *arg;
    bool stop, ended;
    bool busy; /* the main thread's own */
};

static void *hand_main(void *user)
{
    coord_hand *h = user;

    pthread_mutex_lock(&h->lock);
    for (;;) {
        void (*work)(void *arg);

        while (h->work == NULL && !h->stop)
            pthread_cond_wait(&h->given, &h->lock);
        work = h->work;
        if (work == NULL)
            break;
        h->work = NULL;
        pthread_mutex_unlock(&h->lock);
        work(h->arg);
        pthread_mutex_lock(&h->lock);
        h->ended = true;
        h->wake(h->user);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

df_status coord_hand_new(coord_hand **out, void (*wake)(void *user), void *user, df_error *err)
{
    coord_hand *h = calloc(1, sizeof *h);
    sigset_t all, before;
    int made;

    *out = NULL;
    if (h == NULL)
        return df_fail(err, DF_ENOMEM, "out of memory");
    h->wake = wake;
    h->user = user;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->given, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    made = pthread_create(&h->thread, NULL, hand_main, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (made != 0) {
        pthread_cond_destroy(&h->given);
        pthread_mutex_destroy(&h->lock);
        free(h);
        return df_fail(err, DF_ENOMEM, "cannot start a thread");
    }
    *out = h;
    return DF_OK;
}

void coord_hand_free(coord_hand **hand)
{
    coord_hand *h = *hand;

    *hand = NULL;
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_cond_signal(&h->given);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    pthread_cond_destroy(&h->given);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

void coord_hand_give(coord_hand *hand, void (*work)(void *arg), void *arg)
{
    assert(!hand->busy);
    hand->busy = true;
    pthread_mutex_lock(&hand->lock);
    hand->work = work;
    hand->arg = arg;
    hand->ended = false;
    pthread_cond_signal(&hand->given);
    pthread_mutex_unlock(&hand->lock);
}

bool coord_hand_busy(const coord_hand *hand)
{
    return hand->busy;
}

bool coord_hand_done(coord_hand *hand)
{
    bool done;

    if (!hand->busy)
        return false;
    pthread_mutex_lock(&hand->lock);
    done = hand->ended;
    pthread_mutex_unlock(&hand->lock);
    hand->busy = !done;
    return done;
}
