# The code that replaces the functions of a process's vDSO which read the wall clock.
# splitbrain/nemesis/linux/wall_clock_code.py contains its assembled bytes. The three variables at
# the end follow the code. x86-64, position independent; only registers that a call may change.
    .intel_syntax noprefix
    .text
clock_gettime:                      # edi: clock, rsi: struct timespec *
    mov eax, 228
    syscall
    test eax, eax
    jnz 2f
    test edi, edi                   # CLOCK_REALTIME
    jz 1f
    cmp edi, 5                      # CLOCK_REALTIME_COARSE
    jne 2f
1:  imul rax, [rsi], 1000000000
    add rax, [rsi+8]                # now, in ns
    mov rcx, rax
    sub rax, [rip+begin]
    imul qword ptr [rip+ppm]        # rdx:rax, 128 bits
    mov r8d, 1000000
    idiv r8
    add rax, rcx
    add rax, [rip+ahead]
    cqo
    mov r8d, 1000000000
    idiv r8
    mov [rsi], rax
    mov [rsi+8], rdx
    xor eax, eax
2:  ret
    .balign 16
gettimeofday:                       # rdi: struct timeval *, rsi: struct timezone *
    sub rsp, 24
    mov r9, rdi
    mov r10, rsi
    xor edi, edi
    mov rsi, rsp
    call clock_gettime
    test r9, r9
    jz 3f
    mov rax, [rsp]
    mov [r9], rax
    mov rax, [rsp+8]
    xor edx, edx
    mov ecx, 1000
    div rcx
    mov [r9+8], rax
3:  test r10, r10
    jz 4f
    mov qword ptr [r10], 0
4:  xor eax, eax
    add rsp, 24
    ret
    .balign 16
time:                               # rdi: time_t *
    sub rsp, 24
    mov r9, rdi
    xor edi, edi
    mov rsi, rsp
    call clock_gettime
    mov rax, [rsp]
    test r9, r9
    jz 5f
    mov [r9], rax
5:  add rsp, 24
    ret
    .balign 16
begin:  .quad 0                     # when the drift began, in ns of the machine's wall clock
ppm:    .quad 0                     # the drift since then, in millionths
ahead:  .quad 0                     # how far the clock was ahead when the drift began, in ns
