#ifndef TASKFARM_MASTER_LINKED_LIST_H_
#define TASKFARM_MASTER_LINKED_LIST_H_

namespace taskfarm {

// What an object needs to be in one LinkedList.
template <typename T>
struct Links {
  T* next = nullptr;
  T* previous = nullptr;
  bool linked = false;
};

// A doubly linked list through objects that live elsewhere. Nothing is allocated; everything takes
// constant time. An object is in one list at most for each of its Links, and outlives that.
template <typename T, Links<T> T::*kLinks>
class LinkedList {
 public:
  bool empty() const { return front_ == nullptr; }
  T* front() const { return front_; }  // null if empty
  static T* Next(const T& object) { return (object.*kLinks).next; }

  // `object` is in no list.
  void PushBack(T& object) {
    object.*kLinks = {.next = nullptr, .previous = back_, .linked = true};
    (back_ == nullptr ? front_ : (back_->*kLinks).next) = &object;
    back_ = &object;
  }

  // `object` is in this list.
  void Remove(T& object) {
    Links<T>& links = object.*kLinks;
    (links.previous == nullptr ? front_ : (links.previous->*kLinks).next) = links.next;
    (links.next == nullptr ? back_ : (links.next->*kLinks).previous) = links.previous;
    links = {};
  }

 private:
  T* front_ = nullptr;
  T* back_ = nullptr;
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_LINKED_LIST_H_
