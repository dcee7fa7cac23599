/* Gives every thread a stack of 8 MiB.
 *
 * Orthanc's HTTP threads ask for 100 KiB, in which GDCM's encoder does not fit: Orthanc ends with
 * a segmentation fault when it is asked for J2K. Loaded before it, this lets it do the work.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>

static const size_t STACK_BYTES = 8u << 20;

typedef int create_t(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *given, void *(*run)(void *),
                   void *argument) {
  create_t *create = (create_t *)dlsym(RTLD_NEXT, "pthread_create");
  if (given == NULL)
    return create(thread, NULL, run, argument);
  pthread_attr_t larger = *given; /* shares what `given` owns, and frees nothing of it */
  size_t asked = 0;
  pthread_attr_getstacksize(&larger, &asked);
  if (asked < STACK_BYTES)
    pthread_attr_setstacksize(&larger, STACK_BYTES);
  return create(thread, &larger, run, argument);
}
